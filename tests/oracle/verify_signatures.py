"""The official verifier of OpenSSF Model Signing: the judge of our signatures and of our verifier.

    verify_signatures.py    reads a JSON list of jobs from stdin, prints a JSON list of answers

A job is {"do": "verify", "folder", "signature", "key"} or {"do": "sign", "folder", "signature", "key"} with a private key. An
answer is null for yes, else the library's words.
"""

import json
import sys

import model_signing


def run(job):
    if job["do"] == "sign":
        config = model_signing.signing.Config().use_elliptic_key_signer(private_key=job["key"])
        # As its command line does: the signature is no part of what is signed.
        hashing = model_signing.hashing.Config().set_ignored_paths(paths=["model.sig"], ignore_git_paths=True)
        config.set_hashing_config(hashing).sign(job["folder"], job["signature"])
        return None
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=job["key"])
    config.verify(job["folder"], job["signature"])
    return None


def answer(job):
    try:
        return run(job)
    except Exception as error:  # Whatever it raises, it did not say yes.
        return f"{type(error).__name__}: {error}"


json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
