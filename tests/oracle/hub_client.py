"""The official client against a Hub: the judge of the Hub double, and of what Sekisho published there.

    hub_client.py scenario ENDPOINT TOKEN REPO            a life of a repository; prints what was seen as JSON
    hub_client.py download ENDPOINT TOKEN REPO REVISION   every file at a revision; prints path -> SHA-256 as JSON
    hub_client.py fetch ENDPOINT TOKEN REPO REVISION DIR  the same into a folder that stays; prints its files as JSON
"""

import hashlib
import json
import pathlib
import random
import sys
import tempfile

from huggingface_hub import HfApi, __version__
from huggingface_hub.errors import HfHubHTTPError


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def status_of(call):
    """The HTTP status that the client reports, 0 for success."""
    try:
        call()
        return 0
    except HfHubHTTPError as error:
        return error.response.status_code


def download(api, repo, revision):
    with tempfile.TemporaryDirectory() as folder:
        api.snapshot_download(repo, revision=revision, local_dir=folder, force_download=True)
        files = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
        inside = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    return {path: digest for path, digest in inside.items() if not path.startswith(".cache/")}


def fetch(api, repo, revision, folder):
    api.snapshot_download(repo, revision=revision, local_dir=folder)
    root = pathlib.Path(folder)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def make_folder(root):
    (root / "deep" / "er").mkdir(parents=True)
    (root / "config.json").write_text('{"model_type": "llama"}\n')
    (root / "deep" / "er" / "空.txt").write_text("")
    (root / "model.safetensors").write_bytes(random.Random(0).randbytes(3_000_017))
    return {path.relative_to(root).as_posix(): sha256(path) for path in root.rglob("*") if path.is_file()}


def scenario(api, repo):
    seen = {"client": __version__, "whoami": api.whoami()["name"]}
    anonymous = HfApi(endpoint=api.endpoint, token=False)
    stranger = HfApi(endpoint=api.endpoint, token="hf_unknown")

    seen["url"] = str(api.create_repo(repo, private=True))
    seen["create_again"] = status_of(lambda: api.create_repo(repo, private=True))
    api.create_repo(repo, private=True, exist_ok=True)
    seen["private"] = api.repo_info(repo).private
    seen["anonymous"] = status_of(lambda: anonymous.repo_info(repo))
    seen["stranger"] = status_of(lambda: stranger.whoami())

    card = b"---\nlicense: apache-2.0\n---\n# Model\n"
    first = api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo)
    with tempfile.TemporaryDirectory() as folder:
        wanted = make_folder(pathlib.Path(folder))
        api.upload_folder(folder_path=folder, repo_id=repo, commit_message="weights")
        head = api.repo_info(repo).sha
        api.upload_folder(folder_path=folder, repo_id=repo, commit_message="weights again")
        seen["upload_again_moves"] = api.repo_info(repo).sha != head
    stale = dict(path_or_fileobj=b"late", path_in_repo="late.txt", repo_id=repo, parent_commit=first.oid)
    seen["stale_parent"] = status_of(lambda: api.upload_file(**stale))
    broken = dict(path_or_fileobj=b"---\nlicense: x\n", path_in_repo="README.md", repo_id=repo)
    seen["broken_card"] = "refused"
    try:
        api.upload_file(**broken)
        seen["broken_card"] = "taken"
    except (HfHubHTTPError, ValueError):
        pass

    api.create_tag(repo, tag="v1", revision=head)
    seen["tag_again"] = status_of(lambda: api.create_tag(repo, tag="v1"))
    api.create_branch(repo, branch="release/next")
    seen["branch_again"] = status_of(lambda: api.create_branch(repo, branch="release/next"))
    api.upload_file(path_or_fileobj=b"next", path_in_repo="next.txt", repo_id=repo, revision="release/next")
    refs = api.list_repo_refs(repo)
    seen["branches"] = sorted(ref.name for ref in refs.branches)
    seen["tags"] = {ref.name: ref.target_commit == head for ref in refs.tags}
    seen["commits"] = [commit.title for commit in api.list_repo_commits(repo)]

    tree = {entry.path: entry for entry in api.list_repo_tree(repo, recursive=True)}
    seen["tree"] = sorted(tree)
    weights = tree["model.safetensors"]
    seen["lfs"] = weights.lfs is not None and weights.lfs.sha256 == wanted["model.safetensors"]
    seen["xet"] = weights.xet_hash is not None
    (info,) = api.get_paths_info(repo, paths=["model.safetensors"])
    seen["paths_info"] = info.size

    got = download(api, repo, "v1")
    got.pop(".gitattributes")
    wanted["README.md"] = hashlib.sha256(card).hexdigest()
    seen["download_equal"] = got == wanted
    seen["missing_file"] = status_of(lambda: api.hf_hub_download(repo, "none.txt"))
    seen["missing_revision"] = status_of(lambda: api.repo_info(repo, revision="none"))

    api.update_repo_settings(repo, gated="manual", visibility="public")
    info = api.repo_info(repo)
    seen["settings"] = [info.private, info.gated]
    seen["gated_download"] = status_of(lambda: anonymous.hf_hub_download(repo, "config.json"))
    api.delete_file("config.json", repo_id=repo)
    api.delete_folder("deep", repo_id=repo)
    seen["after_deletion"] = sorted(api.list_repo_files(repo))
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="release/next")
    api.move_repo(repo, repo + "-moved")
    seen["moved"] = api.repo_exists(repo + "-moved") and not api.repo_exists(repo)
    api.delete_repo(repo + "-moved")
    seen["deleted"] = not api.repo_exists(repo + "-moved")
    return seen


def main():
    command, endpoint, token, repo = sys.argv[1:5]
    api = HfApi(endpoint=endpoint, token=token or False)
    commands = {"scenario": scenario, "download": download, "fetch": fetch}
    result = commands[command](api, repo, *sys.argv[5:])
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
