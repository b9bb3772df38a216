use rayon::prelude::*;

use super::StandIn;
use crate::cuda::CudaError;
use crate::cuda::context::Context;
use crate::cuda::gpu::Gpu;
use crate::cuda::kernels::Kernel;
use crate::cuda::machine::{Arg, Dtype, Form, Into, Launch, Machine, Memory, Product, Ptr};

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn upload(gpu: &Gpu, values: &[f32]) -> Memory {
    let memory = gpu.reserve(values.len() * 4).expect("memory");
    gpu.write(memory.start(), &bytes(values)).expect("written");
    memory
}

fn download(gpu: &Gpu, memory: &Memory) -> Vec<f32> {
    let mut bytes = vec![0; memory.bytes()];
    gpu.read(memory.start(), &mut bytes).expect("read");
    bytes.chunks_exact(4).map(|four| f32::from_ne_bytes(four.try_into().expect("four"))).collect()
}

/// `x [rows, width] += bias [width]`.
fn add_bias(gpu: &Gpu, x: Ptr, bias: Ptr, rows: u32, width: i32) -> Result<(), CudaError> {
    let args = [Arg::Ptr(x), Arg::Ptr(bias), Arg::Int(width)];
    gpu.launch(&Launch { kernel: Kernel::AddBias, dtype: Dtype::F32, blocks: [rows, 1, 1], args: &args })
}

/// Values that no two places share.
fn some_bytes(count: usize, seed: u64) -> Vec<u8> {
    let step = |i: usize| (i as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7];
    (0..count).map(step).collect()
}

#[test]
fn what_is_written_is_read_back_and_kernels_get_their_parameters() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    assert_eq!(gpu.name(), "cuda:0 (Stand-in)");
    assert_eq!(gpu.about(), "Stand-in (1.0 GiB, compute capability 9.0, driver for CUDA 12.4, own products)");
    let x = upload(&gpu, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let bias = upload(&gpu, &[10.0, 20.0, 30.0]);
    add_bias(&gpu, x.start(), bias.start(), 2, 3).expect("launched");
    // No blocks are no launch, which the driver would refuse.
    add_bias(&gpu, x.start(), bias.start(), 0, 3).expect("nothing to do");
    assert_eq!(download(&gpu, &x), [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    assert_eq!(stand_in.last(), ("add_bias_f32".to_owned(), [2, 1, 1, 256, 0]));
    let odd = Launch { kernel: Kernel::AddBias, dtype: Dtype::F16, blocks: [1; 3], args: &[] };
    let error = gpu.launch(&odd).expect_err("there is none").to_string();
    assert!(error.contains("there is no kernel add_bias_f16"), "{error}");
}

#[test]
fn a_kernel_gets_the_shared_memory_that_it_needs() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    for kernel in Kernel::ALL.iter().copied().filter(|kernel| kernel.shared_bytes() > 0) {
        let (about, dtype) = (kernel.about(), kernel.about().dtypes[0]);
        // More than the driver gives without being asked for.
        assert!(kernel.shared_bytes() > 48 << 10, "{}", about.name);
        gpu.launch(&Launch { kernel, dtype, blocks: [1, 2, 1], args: &[] }).expect("launched");
        gpu.read(Ptr::NULL, &mut []).expect("waited for");
        let numbers = [1, 2, 1, about.threads, kernel.shared_bytes()];
        assert_eq!(stand_in.last(), (kernel.symbol(dtype), numbers));
    }
}

#[test]
fn large_writes_overlap_and_the_bytes_may_change_at_once() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let expected = some_bytes((50 << 20) + 12_345, 1);
    let mut ours = expected.clone();
    let memory = gpu.reserve(expected.len()).expect("memory");
    gpu.write(memory.start(), &ours).expect("written");
    ours.fill(0);
    let mut read = vec![0; expected.len()];
    gpu.read(memory.start(), &mut read).expect("read");
    assert!(read == expected);
    // Pieces of several MiB.
    assert_eq!(stand_in.calls("cuMemcpyHtoDAsync_v2"), 7);
    drop(ours);
}

#[test]
fn small_writes_wait_for_nothing() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let memory = gpu.reserve(1000 * 100).expect("memory");
    for i in 0..1000 {
        gpu.write(memory.start().plus(i * 100), &some_bytes(100, i as u64 * 100)).expect("written");
    }
    assert_eq!(stand_in.calls("cuStreamSynchronize") + stand_in.calls("cuEventSynchronize"), 0);
    let mut read = vec![0; 1000 * 100];
    gpu.read(memory.start(), &mut read).expect("read");
    assert!(read == some_bytes(1000 * 100, 0));
}

#[test]
fn writes_from_every_thread_of_a_pool_do_not_wait_for_each_other_in_a_circle() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let expected = some_bytes(6 << 20, 3);
    let read: Vec<Vec<u8>> = (0..8)
        .into_par_iter()
        .map(|_| {
            let memory = gpu.reserve(expected.len()).expect("memory");
            gpu.write(memory.start(), &expected).expect("written");
            let mut read = vec![0; expected.len()];
            gpu.read(memory.start(), &mut read).expect("read");
            read
        })
        .collect();
    assert!(read.iter().all(|read| *read == expected));
}

#[test]
fn too_little_memory_says_how_much_there_is() {
    const MIB: usize = 1 << 20;
    let stand_in = StandIn::new();
    stand_in.set_capacity(100 * MIB);
    let gpu = stand_in.gpu();
    let first = gpu.reserve(60 * MIB).expect("memory");
    assert_eq!(gpu.free_bytes().expect("free"), 40 * MIB);
    let Err(error) = gpu.reserve(50 * MIB) else { panic!("there is none") };
    let CudaError::OutOfMemory { device, needed, free, .. } = error else { panic!("{error}") };
    assert_eq!((&*device, needed, free), ("cuda:0 (Stand-in)", 50.0 / 1024.0, 40.0 / 1024.0));
    drop(first);
    // What was given back counts, and serves another size.
    assert_eq!(gpu.free_bytes().expect("free"), 100 * MIB);
    let again = gpu.reserve(90 * MIB).expect("memory");
    assert_eq!((again.bytes(), stand_in.calls("cuMemPoolTrimTo")), (90 * MIB, 2));
    let none = gpu.reserve(0).expect("no bytes have an address");
    assert_eq!(none.bytes(), 0);
}

#[test]
fn everything_is_given_back_in_any_order() {
    for pools in [true, false] {
        let stand_in = StandIn::new();
        stand_in.set_gpu(12_000, (8, 6), pools);
        let gpu = stand_in.gpu_with_blaslt(true);
        let x = upload(&gpu, &[1.0; 4]);
        let bias = upload(&gpu, &[1.0; 4]);
        for _ in 0..3 {
            gpu.captured(1, &mut || add_bias(&gpu, x.start(), bias.start(), 1, 4)).expect("ran");
        }
        assert_eq!(download(&gpu, &x), [4.0; 4]);
        assert!(stand_in.live() > 10);
        drop(bias);
        drop(gpu);
        // Memory keeps what it needs to be given back.
        assert!(stand_in.live() > 1);
        drop(x);
        assert_eq!(stand_in.live(), 0, "pools: {pools}");
    }
}

#[test]
fn a_lost_gpu_says_so_and_stays_lost() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let x = upload(&gpu, &[0.0; 4]);
    stand_in.fail("cuLaunchKernel", 1);
    let error = add_bias(&gpu, x.start(), x.start(), 1, 4).expect_err("refused");
    assert!(matches!(error, CudaError::Failed { .. }), "{error}");
    stand_in.fail("cuStreamSynchronize", 700);
    let error = gpu.read(x.start(), &mut [0; 4]).expect_err("lost");
    assert!(matches!(error, CudaError::Lost { what: "cuStreamSynchronize", .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.starts_with(
            "cuda:0 (Stand-in) was lost to this process at cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS."
        ),
        "{said}"
    );
    let error = gpu.write(x.start(), &[0; 4]).expect_err("lost");
    assert!(matches!(error, CudaError::Lost { .. }), "{error}");
    drop((gpu, x));
}

#[test]
fn a_sequence_is_captured_and_replayed_with_what_memory_holds_then() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let x = upload(&gpu, &[0.0; 4]);
    let bias = upload(&gpu, &[1.0; 4]);
    let mut ran = 0;
    for round in 1..=6_u8 {
        gpu.write(bias.start(), &bytes(&[f32::from(round); 4])).expect("written");
        gpu.captured(9, &mut || {
            ran += 1;
            add_bias(&gpu, x.start(), bias.start(), 1, 4)?;
            add_bias(&gpu, x.start(), bias.start(), 1, 4)
        })
        .expect("ran");
    }
    assert_eq!(download(&gpu, &x), [42.0; 4]);
    assert_eq!((ran, stand_in.calls("cuLaunchKernel"), stand_in.calls("cuGraphLaunch")), (2, 4, 5));
    // What it names is another's now.
    drop(bias);
    let bias = upload(&gpu, &[1.0; 4]);
    gpu.captured(9, &mut || add_bias(&gpu, x.start(), bias.start(), 1, 4)).expect("ran");
    assert_eq!(download(&gpu, &x), [43.0; 4]);
    assert_eq!(stand_in.calls("cuGraphLaunch"), 5);
}

#[test]
fn what_cannot_be_captured_runs_as_it_is() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let x = upload(&gpu, &[0.0; 4]);
    let bias = upload(&gpu, &[1.0; 4]);
    let refused = std::cell::Cell::new(0);
    for _ in 0..4 {
        gpu.captured(1, &mut || {
            add_bias(&gpu, x.start(), bias.start(), 1, 4)?;
            gpu.write(bias.start(), &bytes(&[2.0; 4])).inspect_err(|_| refused.set(refused.get() + 1))
        })
        .expect("ran");
    }
    assert_eq!(download(&gpu, &x), [7.0; 4]);
    assert_eq!((refused.get(), stand_in.calls("cuGraphLaunch")), (1, 0));
    // A driver that captures nothing does no harm either.
    let gpu = stand_in.gpu();
    stand_in.fail("cuStreamEndCapture", 901);
    for _ in 0..4 {
        gpu.captured(1, &mut || add_bias(&gpu, x.start(), bias.start(), 1, 4)).expect("ran");
    }
    gpu.read(x.start(), &mut [0; 4]).expect("done");
    assert_eq!(download(&gpu, &x), [15.0; 4]);
    assert_eq!(stand_in.calls("cuStreamBeginCapture_v2"), 2);
}

#[test]
fn memory_given_back_during_a_capture_is_given_back_after_it() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu();
    let x = upload(&gpu, &[0.0; 4]);
    let bias = upload(&gpu, &[1.0; 4]);
    let mut spare: Vec<Memory> = (0..2).map(|_| gpu.reserve(64).expect("memory")).collect();
    for _ in 0..3 {
        gpu.captured(1, &mut || {
            spare.pop();
            add_bias(&gpu, x.start(), bias.start(), 1, 4)
        })
        .expect("ran");
    }
    assert_eq!(download(&gpu, &x), [3.0; 4]);
    assert_eq!((stand_in.calls("cuMemFreeAsync"), stand_in.calls("cuGraphLaunch")), (2, 2));
}

fn bf16(value: f32) -> u16 {
    half::bf16::from_f32(value).to_bits()
}

/// Small whole numbers, whose products and sums are exact in bf16.
fn whole(count: usize, most: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 5 % most) as f32).collect()
}

/// A product of whole numbers on the GPU, beside what it should be.
fn product(gpu: &Gpu, m: usize, n: usize, k: usize, dtype: Dtype, into: Into) -> (Vec<f32>, Vec<f32>) {
    product_of(gpu, Form::Forward, [m, n, k], dtype, into)
}

/// The same of a form.
fn product_of(
    gpu: &Gpu,
    form: Form,
    [m, n, k]: [usize; 3],
    dtype: Dtype,
    into: Into,
) -> (Vec<f32>, Vec<f32>) {
    let (x, w) = (whole(m * k, 3), whole(n * k, 4));
    let store = |values: &[f32]| match dtype {
        Dtype::F32 => bytes(values),
        _ => values.iter().flat_map(|&value| bf16(value).to_ne_bytes()).collect(),
    };
    let put = |bytes: &[u8]| {
        let memory = gpu.reserve(bytes.len()).expect("memory");
        gpu.write(memory.start(), bytes).expect("written");
        memory
    };
    let (x_there, w_there) = (put(&store(&x)), put(&store(&w)));
    let halves = into == Into::Same && dtype != Dtype::F32;
    let before = vec![1.0; m * n];
    let out = put(&if halves { store(&before) } else { bytes(&before) });
    let (x_at, w_at, out_at) = (x_there.start(), w_there.start(), out.start());
    gpu.multiply(&Product { form, x: x_at, w: w_at, out: out_at, m, n, k, dtype, into }).expect("computed");
    let computed = if halves {
        let mut read = vec![0; out.bytes()];
        gpu.read(out.start(), &mut read).expect("read");
        let value = |two: &[u8]| half::bf16::from_bits(u16::from_ne_bytes([two[0], two[1]])).to_f32();
        read.chunks_exact(2).map(value).collect()
    } else {
        download(gpu, &out)
    };
    let of_x = |i: usize, l: usize| if form == Form::Weight { l * m + i } else { i * k + l };
    let of_w = |l: usize, j: usize| if form == Form::Forward { j * k + l } else { l * n + j };
    let sum = |i: usize, j: usize| (0..k).map(|l| x[of_x(i, l)] * w[of_w(l, j)]).sum::<f32>();
    let added = if into == Into::Added { 1.0 } else { 0.0 };
    let expected = (0..m * n).map(|at| added + sum(at / n, at % n)).collect();
    (computed, expected)
}

#[test]
fn products_are_laid_out_as_cublaslt_counts() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu_with_blaslt(false);
    assert!(gpu.about().contains("cuBLASLt 12.1.3"), "{}", gpu.about());
    for dtype in [Dtype::F32, Dtype::Bf16] {
        for into in [Into::Same, Into::F32, Into::Added] {
            for m in [1, 5] {
                let (computed, expected) = product(&gpu, m, 8, 16, dtype, into);
                assert_eq!(computed, expected, "{dtype:?} {into:?} {m}");
                // The first splits sums, the second cannot do a single row.
                assert_eq!(stand_in.algorithm(), [3, 0]);
            }
        }
    }
    // Each is chosen once.
    assert_eq!(stand_in.calls("cublasLtMatmulAlgoGetHeuristic"), 6);
    assert_eq!(stand_in.calls("cuLaunchKernel"), 0);
}

#[test]
fn gradients_are_laid_out_as_cublaslt_counts() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu_with_blaslt(false);
    for dtype in [Dtype::F32, Dtype::Bf16] {
        for (form, into) in [(Form::Input, Into::Same), (Form::Input, Into::F32), (Form::Weight, Into::Added)]
        {
            for [m, n, k] in [[24, 8, 16], [8, 40, 24]] {
                let (computed, expected) = product_of(&gpu, form, [m, n, k], dtype, into);
                assert_eq!(computed, expected, "{form:?} {dtype:?} {into:?}");
                assert_eq!(stand_in.algorithm(), if form == Form::Weight { [2, 0] } else { [3, 0] });
            }
        }
    }
    // Any number of rows is summed over; matrices that begin anywhere are our kernel's.
    let (computed, expected) = product_of(&gpu, Form::Weight, [8, 16, 3], Dtype::Bf16, Into::Added);
    assert_eq!((computed, stand_in.calls("cuLaunchKernel")), (expected, 0));
    product_of(&gpu, Form::Weight, [9, 16, 8], Dtype::Bf16, Into::Added);
    assert_eq!(stand_in.last(), ("matmul_weight_bf16".to_owned(), [1, 1, 1, 256, 0]));
    product_of(&gpu, Form::Input, [65, 129, 20], Dtype::Bf16, Into::Same);
    assert_eq!(stand_in.last(), ("matmul_input_bf16".to_owned(), [3, 2, 1, 256, 0]));
}

#[test]
fn a_fast_product_may_be_split() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu_with_blaslt(true);
    for m in [3, 4, 5] {
        let (computed, expected) = product(&gpu, m, 8, 16, Dtype::F32, Into::Added);
        assert_eq!(computed, expected);
        assert_eq!(stand_in.algorithm(), [1, 32 << 20]);
    }
    assert_eq!(stand_in.calls("cublasLtMatmulAlgoGetHeuristic"), 2);
}

#[test]
fn what_cublaslt_does_not_compute_our_kernel_does() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu_with_blaslt(false);
    // Rows of 20 bytes.
    let (computed, expected) = product(&gpu, 70, 130, 5, Dtype::F32, Into::Added);
    assert_eq!(computed, expected);
    assert_eq!(stand_in.last(), ("matmul_f32".to_owned(), [3, 2, 1, 256, 0]));
    stand_in.refuse_products();
    for m in [1, 9] {
        let (computed, expected) = product(&gpu, m, 8, 16, Dtype::F32, Into::F32);
        assert_eq!(computed, expected);
    }
    assert_eq!(stand_in.calls("cuLaunchKernel"), 3);
    // Asked with and without a workspace, once.
    assert_eq!(stand_in.calls("cublasLtMatmulAlgoGetHeuristic"), 2);
    let empty = Product {
        form: Form::Forward,
        x: Ptr(16),
        w: Ptr(16),
        out: Ptr(16),
        m: 0,
        n: 8,
        k: 8,
        dtype: Dtype::F32,
        into: Into::Same,
    };
    gpu.multiply(&empty).expect("nothing to do");
    assert_eq!(stand_in.calls("cuLaunchKernel"), 3);
}

#[test]
fn products_are_captured_too() {
    let stand_in = StandIn::new();
    let gpu = stand_in.gpu_with_blaslt(false);
    let (x, w, out) = (upload(&gpu, &[1.0; 8]), upload(&gpu, &[2.0; 64]), upload(&gpu, &[0.0; 8]));
    let (x, w, at) = (x.start(), w.start(), out.start());
    let (form, dtype, into) = (Form::Forward, Dtype::F32, Into::Added);
    let product = Product { form, x, w, out: at, m: 1, n: 8, k: 8, dtype, into };
    for _ in 0..5 {
        gpu.captured(3, &mut || gpu.multiply(&product)).expect("ran");
    }
    assert_eq!(download(&gpu, &out), [80.0; 8]);
    assert_eq!((stand_in.calls("cublasLtMatmul"), stand_in.calls("cuGraphLaunch")), (2, 4));
}

#[test]
fn a_driver_that_will_not_do_is_refused_in_a_sentence() {
    let stand_in = StandIn::new();
    stand_in.set_gpu(11_080, (8, 0), true);
    let refused = stand_in.driver().err().expect("too old");
    assert!(
        refused.ends_with(
            "libcuda.so.1 is of a driver for CUDA 11.8; 525.60.13, for CUDA 12.0, is the oldest that will do"
        ),
        "{refused}"
    );
    stand_in.set_gpu(12_000, (8, 0), true);
    stand_in.fail("cuInit", 100);
    assert_eq!(stand_in.driver().err().as_deref(), Some("the NVIDIA driver sees no GPU"));
    stand_in.fail("cuInit", 1);
    let refused = stand_in.driver().err().expect("broken");
    assert_eq!(refused, "the NVIDIA driver does not start: CUDA_ERROR_INVALID_VALUE");
    let driver = stand_in.driver().expect("mended");
    let gpus = driver.gpus().expect("one");
    assert_eq!((gpus.len(), &*gpus[0].name, gpus[0].capability), (1, "Stand-in", (8, 0)));
    let error = Context::open(driver, 1).err().expect("there is one alone").to_string();
    assert_eq!(
        error,
        "NVIDIA's driver: the NVIDIA driver answers CUDA error 101. Look at `nvidia-smi`, or use --device cpu"
    );
}
