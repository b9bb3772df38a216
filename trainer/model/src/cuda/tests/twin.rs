//! The twin itself: that it computes what CUDA would, and finds what CUDA would not say.

use super::{Bench, ptr};
use crate::cuda::machine::{Arg, Dtype, Machine};
use crate::cuda::twin::Twin;

/// What the twin says of a kernel of `faults.cu` that runs on 64 threads.
fn said(bench: &Bench<Twin>, name: &'static str, args: &[Arg]) -> String {
    bench.machine.launch_fault(name, args).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
}

#[test]
fn what_a_kernel_does_wrong_is_found() {
    let Some(bench) = Bench::on_twin() else { return };
    let out = bench.ints(&[0; 64]);
    let check = |name, arg, expected: &str| {
        let said = said(&bench, name, &[ptr(&out), Arg::Int(arg)]);
        assert!(said.contains(expected), "{name}({arg}): {said}");
    };
    check("turned_around", 1, "fine");
    check("turned_around", 0, "the result depends on the order of the threads");
    check("written_again", 1, "fine");
    check("written_again", 0, "the result depends on the order of the threads");
    check("barrier_for_some", 64, "fine");
    check("barrier_for_some", 0, "fine");
    check("barrier_for_some", 40, "waits for ever at __syncthreads of line");
    check("sum_without", 32, "fine");
    check("sum_without", 20, "waits for ever at __shfl_xor_sync of line");
    check("write_at", 63, "fine");
    check("write_at", 64, "something was written beside a piece of memory");
    check("write_at", -1, "something was written beside a piece of memory");
    check("write_shared", 63, "fine");
    check("write_shared", 64, "something was written beside shared array");
    check("write_shared", -1, "something was written beside shared array");
    check("write_dynamic", 63, "fine");
    check("write_dynamic", 64, "something was written beside shared array");
    check("write_dynamic", -1, "something was written beside shared array");
    let said = said(&bench, "two_barriers", &[ptr(&out)]);
    assert!(said.contains("at the __syncthreads of line"), "{said}");
}

#[test]
fn copies_arrive_when_they_are_waited_for() {
    let Some(bench) = Bench::on_twin() else { return };
    let from = bench.ints(&(0..256).collect::<Vec<_>>());
    let out = bench.ints(&[0; 512]);
    let run = |name, args: &[Arg]| {
        assert_eq!(said(&bench, name, &[&[ptr(&from), ptr(&out)], args].concat()), "fine");
        bench.read_ints(&out)
    };
    assert_eq!(run("copied", &[Arg::Int(1)])[..256], (0..256).rev().collect::<Vec<_>>());
    assert_eq!(run("copied", &[Arg::Int(0)])[..256], [-1; 256]);
    let found = run("numbers_copied", &[Arg::Int(40)]);
    assert_eq!(found[..24], [0; 24]);
    assert_eq!(found[24..64], (0..40).rev().collect::<Vec<_>>());
    let found = run("second_copy_open", &[]);
    assert_eq!(found[..6], [0, 1, 0, 0, 4, 5]);
    assert_eq!(found[256..], [-1; 256]);
}

#[test]
fn words_lie_in_memory_at_multiples_of_their_size() {
    let Some(bench) = Bench::on_twin() else { return };
    let (from, out) = (bench.ints(&[1, 2, 3, 4, 5, 6, 7, 8]), bench.ints(&[0]));
    let run = |first| said(&bench, "load_from", &[ptr(&from), ptr(&out), Arg::Int(first)]);
    assert_eq!(run(4), "fine");
    assert_eq!(bench.read_ints(&out), [5]);
    assert!(run(2).contains("a load of 16 bytes at no multiple of 16"), "{}", run(2));
    assert!(run(8).contains("a load of 16 bytes outside of memory"), "{}", run(8));
    assert!(run(-4).contains("a load of 16 bytes outside of memory"), "{}", run(-4));
}

#[test]
fn a_warp_does_together_what_cuda_says() {
    let Some(bench) = Bench::on_twin() else { return };
    let out = bench.ints(&[0; 64 * 8]);
    assert_eq!(said(&bench, "warp_operations", &[ptr(&out)]), "fine");
    let found = bench.read_ints(&out);
    for (thread, found) in found.chunks_exact(8).enumerate() {
        let lane = thread as i32 % 32;
        let ballot = (0..32).filter(|lane| lane % 3 == 0).fold(0_u32, |bits, lane| bits | 1 << lane);
        let down = if lane < 28 { lane + 4 } else { lane };
        assert_eq!(found, [50, down, ballot as i32, 1, 0, 496, 31, 0], "thread {thread}");
    }
}

#[test]
fn memory_is_counted_and_kept_apart() {
    let Some(twin) = Twin::new() else { return };
    let twin = twin.with_memory(1_000);
    let first = twin.reserve(600).expect("memory");
    assert_eq!(twin.free_bytes().expect("free"), 400);
    let refused = twin.reserve(401).map(|_| ()).expect_err("no memory").to_string();
    assert!(refused.contains("GiB are needed"), "{refused}");
    let mut read = [0; 600];
    twin.read(first.start(), &mut read).expect("a copy");
    assert_eq!(read, [0xFF; 600], "what was not written is no number");
    let beyond = twin.write(first.start().plus(1), &read).expect_err("too long").to_string();
    assert!(beyond.contains("not in one piece"), "{beyond}");
    drop(first);
    assert_eq!(twin.free_bytes().expect("free"), 1_000);
    let kept = twin.launch_fault("write_at", &[Arg::Ptr(crate::cuda::machine::Ptr(4_096)), Arg::Int(0)]);
    assert!(kept.expect_err("no memory").to_string().contains("not in one piece"));
    let kinds = twin.launch_fault("write_at", &[Arg::Int(1)]).expect_err("other parameters").to_string();
    assert!(kinds.contains("the parameters are pi and not i"), "{kinds}");
    assert_eq!(Dtype::F16.size(), 2);
}
