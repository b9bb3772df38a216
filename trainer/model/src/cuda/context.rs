//! What this process holds of a GPU: the context that all of the process share, one stream, and what is made in them. Everything gives
//! itself back.

use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use cudarc::driver::sys as cu;

use super::CudaError;
use super::driver::{Driver, Properties};
use super::libraries::{Kind, Version};
use super::machine::Ptr;

/// Driver answers after which the context is lost.
const LOST: [u32; 16] = {
    use cu::CUresult as R;
    [
        R::CUDA_ERROR_DEINITIALIZED as u32,
        R::CUDA_ERROR_ECC_UNCORRECTABLE as u32,
        R::CUDA_ERROR_NVLINK_UNCORRECTABLE as u32,
        R::CUDA_ERROR_CONTEXT_IS_DESTROYED as u32,
        R::CUDA_ERROR_ILLEGAL_ADDRESS as u32,
        R::CUDA_ERROR_LAUNCH_TIMEOUT as u32,
        R::CUDA_ERROR_ASSERT as u32,
        R::CUDA_ERROR_HARDWARE_STACK_ERROR as u32,
        R::CUDA_ERROR_ILLEGAL_INSTRUCTION as u32,
        R::CUDA_ERROR_MISALIGNED_ADDRESS as u32,
        R::CUDA_ERROR_INVALID_ADDRESS_SPACE as u32,
        R::CUDA_ERROR_INVALID_PC as u32,
        R::CUDA_ERROR_LAUNCH_FAILED as u32,
        R::CUDA_ERROR_UNKNOWN as u32,
        // Later drivers': a fault in another process's share of the GPU, and a leak of Blackwell's tensor memory.
        226,
        721,
    ]
};
const OUT_OF_MEMORY: u32 = cu::CUresult::CUDA_ERROR_OUT_OF_MEMORY as u32;

/// A handle of the driver's. The driver may be called with it from any thread.
struct Handle<T>(*mut T);

impl<T> Handle<T> {
    const NULL: Self = Self(std::ptr::null_mut());

    fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

#[expect(unsafe_code, reason = "the driver is thread-safe, and its handles are only names")]
// SAFETY: nothing of ours reads what the handle points to.
unsafe impl<T> Send for Handle<T> {}
#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl<T> Sync for Handle<T> {}

/// A GPU's context with a stream.
pub(super) struct Context {
    driver: &'static Driver,
    device: cu::CUdevice,
    context: Handle<cu::CUctx_st>,
    stream: Handle<cu::CUstream_st>,
    /// The device's pool of memory; null where there is none.
    pool: Handle<cu::CUmemPoolHandle_st>,
    /// `cuda:0 (NVIDIA H200)`.
    pub(super) name: String,
    pub(super) properties: Properties,
}

#[expect(unsafe_code, reason = "functions of the driver")]
impl Context {
    /// Of GPU `ordinal`.
    pub(super) fn open(driver: &'static Driver, ordinal: usize) -> Result<Arc<Self>, CudaError> {
        let missing = |reason| CudaError::Library {
            library: Kind::Driver.name(),
            reason,
            way_on: "Look at `nvidia-smi`, or use --device cpu",
        };
        let number = c_int::try_from(ordinal).unwrap_or(c_int::MAX);
        let device = driver.device(number).map_err(missing)?;
        let properties = driver.properties(device).map_err(missing)?;
        let pools = cu::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED;
        let pools = driver.attribute(pools, device).is_ok_and(|supported| supported != 0);
        let name = format!("cuda:{ordinal} ({})", properties.name);
        let (context, stream, pool) = (Handle::NULL, Handle::NULL, Handle::NULL);
        let mut it = Self { driver, device, context, stream, pool, name, properties };
        let f = &driver.functions;
        // SAFETY: the device is the driver's; handles are written to locals, and each is kept before the next call may fail.
        unsafe {
            let answer = (f.cuDevicePrimaryCtxRetain)(&raw mut it.context.0, device);
            it.check("cuDevicePrimaryCtxRetain", answer)?;
            it.enter()?;
            let flags = cu::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
            let answer = (f.cuStreamCreate)(&raw mut it.stream.0, flags);
            it.check("cuStreamCreate", answer)?;
            if pools {
                let answer = (f.cuDeviceGetDefaultMemPool)(&raw mut it.pool.0, device);
                it.check("cuDeviceGetDefaultMemPool", answer)?;
                // What is given back stays in the pool, and so with this process.
                let mut most = u64::MAX;
                let attribute = cu::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
                let answer = (f.cuMemPoolSetAttribute)(it.pool.0, attribute, (&raw mut most).cast());
                it.check("cuMemPoolSetAttribute", answer)?;
            }
        }
        Ok(Arc::new(it))
    }

    /// Makes the context the calling thread's, which every call needs that has no handle of it.
    fn enter(&self) -> Result<(), CudaError> {
        // SAFETY: the context is kept until this is dropped.
        self.check("cuCtxSetCurrent", unsafe { (self.driver.functions.cuCtxSetCurrent)(self.context.0) })
    }

    /// An answer of the driver as a result.
    pub(super) fn check(&self, what: &'static str, answer: u32) -> Result<(), CudaError> {
        if answer == 0 {
            return Ok(());
        }
        let (device, reason) = (self.name.clone(), self.driver.meaning(answer));
        Err(if LOST.contains(&answer) {
            CudaError::Lost { device, what, reason }
        } else {
            CudaError::Failed { device, what, reason }
        })
    }

    /// Memory in the order of the stream, or nothing if there is not so much.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Option<Ptr>, CudaError> {
        self.enter()?;
        let f = &self.driver.functions;
        let mut start = 0;
        let mut reserve = || {
            // SAFETY: the address is written to a local; the stream is ours.
            unsafe {
                if self.pool.is_null() {
                    (f.cuMemAlloc_v2)(&raw mut start, bytes)
                } else {
                    (f.cuMemAllocAsync)(&raw mut start, bytes, self.stream.0)
                }
            }
        };
        let mut answer = reserve();
        if answer == OUT_OF_MEMORY && !self.pool.is_null() {
            // What other sizes left in the pool goes back to the system first.
            self.wait()?;
            // SAFETY: the pool is the device's.
            self.check("cuMemPoolTrimTo", unsafe { (f.cuMemPoolTrimTo)(self.pool.0, 0) })?;
            answer = reserve();
        }
        if answer == OUT_OF_MEMORY {
            return Ok(None);
        }
        self.check("cuMemAllocAsync", answer)?;
        Ok(Some(Ptr(start)))
    }

    /// Takes memory back once the stream has come so far.
    pub(super) fn release(&self, start: Ptr) {
        if self.enter().is_err() {
            return;
        }
        let f = &self.driver.functions;
        // SAFETY: it comes from `reserve` and is given back once. After an error there is nobody to tell.
        let _ = unsafe {
            if self.pool.is_null() {
                (f.cuMemFree_v2)(start.0)
            } else {
                (f.cuMemFreeAsync)(start.0, self.stream.0)
            }
        };
    }

    /// Bytes that can be reserved, those in the pool included.
    pub(super) fn free_bytes(&self) -> Result<usize, CudaError> {
        use cu::CUmemPool_attribute::{
            CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT as HELD, CU_MEMPOOL_ATTR_USED_MEM_CURRENT as USED,
        };
        self.wait()?;
        let f = &self.driver.functions;
        let (mut free, mut all) = (0, 0);
        // SAFETY: the pointers are to locals.
        self.check("cuMemGetInfo", unsafe { (f.cuMemGetInfo_v2)(&raw mut free, &raw mut all) })?;
        if self.pool.is_null() {
            return Ok(free);
        }
        let read = |attribute| {
            let mut value = 0_u64;
            // SAFETY: both attributes are 64 bits.
            let answer =
                unsafe { (f.cuMemPoolGetAttribute)(self.pool.0, attribute, (&raw mut value).cast()) };
            self.check("cuMemPoolGetAttribute", answer)?;
            Ok::<_, CudaError>(usize::try_from(value).unwrap_or(usize::MAX))
        };
        Ok(free + read(HELD)?.saturating_sub(read(USED)?))
    }

    /// Waits for everything that was asked for.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        self.enter()?;
        // SAFETY: the stream is ours.
        self.check("cuStreamSynchronize", unsafe {
            (self.driver.functions.cuStreamSynchronize)(self.stream.0)
        })
    }

    /// Copies to the GPU, not before everything that was asked for earlier. `from` must stay as it is until an event after it has come.
    pub(super) fn upload(&self, to: Ptr, from: &[u8]) -> Result<(), CudaError> {
        self.enter()?;
        let f = &self.driver.functions;
        // SAFETY: the caller keeps the bytes; `to` is memory of this GPU of at least this size, as for every caller of `Machine::write`.
        let answer =
            unsafe { (f.cuMemcpyHtoDAsync_v2)(to.0, from.as_ptr().cast(), from.len(), self.stream.0) };
        self.check("cuMemcpyHtoDAsync", answer)
    }

    /// Copies from the GPU in the order of the stream. `to` must not be touched until an event after it has come.
    pub(super) fn download_later(&self, from: Ptr, to: &mut [u8]) -> Result<(), CudaError> {
        self.enter()?;
        let f = &self.driver.functions;
        // SAFETY: the caller keeps the bytes, and their hands off them; `from` is memory of this GPU of at least this size.
        let answer =
            unsafe { (f.cuMemcpyDtoHAsync_v2)(to.as_mut_ptr().cast(), from.0, to.len(), self.stream.0) };
        self.check("cuMemcpyDtoHAsync", answer)
    }

    /// Copies from the GPU and waits for it.
    pub(super) fn download(&self, from: Ptr, to: &mut [u8]) -> Result<(), CudaError> {
        self.enter()?;
        let f = &self.driver.functions;
        // SAFETY: the bytes are borrowed until the copy is over, which is waited for also after an error.
        let answer =
            unsafe { (f.cuMemcpyDtoHAsync_v2)(to.as_mut_ptr().cast(), from.0, to.len(), self.stream.0) };
        let waited = self.wait();
        self.check("cuMemcpyDtoHAsync", answer)?;
        waited
    }

    /// Runs a function of a module. `values` are its parameters in order, each in the first bytes of eight.
    pub(super) fn launch(
        &self,
        function: Function,
        blocks: [u32; 3],
        values: &mut [[u8; 8]],
    ) -> Result<(), CudaError> {
        self.enter()?;
        let mut parameters: [*mut c_void; MOST_PARAMETERS] = [std::ptr::null_mut(); MOST_PARAMETERS];
        for (parameter, value) in parameters.iter_mut().zip(values) {
            *parameter = (&raw mut *value).cast();
        }
        let [x, y, z] = blocks;
        // SAFETY: the driver reads as many parameters as the function has, each of its size; that the list is the function's is what the
        // caller of `Machine::launch` promises, and what is beyond it is null.
        let answer = unsafe {
            (self.driver.functions.cuLaunchKernel)(
                function.handle.0,
                x,
                y,
                z,
                function.threads,
                1,
                1,
                function.shared,
                self.stream.0,
                parameters.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        self.check("cuLaunchKernel", answer)
    }

    /// From now on what is asked for by this thread is written down and not done.
    pub(super) fn begin_capture(&self) -> Result<(), CudaError> {
        self.enter()?;
        // Another thread may load weights meanwhile.
        let mode = cu::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is ours and captures nothing yet.
        let answer = unsafe { (self.driver.functions.cuStreamBeginCapture_v2)(self.stream.0, mode) };
        self.check("cuStreamBeginCapture", answer)
    }

    /// What was written down, ready to be run.
    pub(super) fn end_capture(self: &Arc<Self>) -> Result<Graph, CudaError> {
        self.enter()?;
        let f = &self.driver.functions;
        let (mut graph, mut ready) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the stream is ours; handles are written to locals, and the graph is given back, from which the other is a copy.
        unsafe {
            self.check("cuStreamEndCapture", (f.cuStreamEndCapture)(self.stream.0, &raw mut graph))?;
            let answer = (f.cuGraphInstantiateWithFlags)(&raw mut ready, graph, 0);
            (f.cuGraphDestroy)(graph);
            self.check("cuGraphInstantiate", answer)?;
        }
        Ok(Graph { context: Arc::clone(self), handle: Handle(ready) })
    }

    /// The newest CUDA that the driver runs.
    pub(super) fn driver_version(&self) -> Version {
        self.driver.version
    }

    /// The stream, for libraries.
    pub(super) fn stream(&self) -> Result<cu::CUstream, CudaError> {
        self.enter()?;
        Ok(self.stream.0)
    }
}

/// Most parameters of a kernel.
pub(super) const MOST_PARAMETERS: usize = 32;

#[expect(unsafe_code, reason = "functions of the driver")]
impl Drop for Context {
    fn drop(&mut self) {
        if self.context.is_null() {
            return;
        }
        let f = &self.driver.functions;
        // SAFETY: made by `open` and given back once, after everything that holds this context. Of a lost GPU nobody hears the answers.
        unsafe {
            if self.enter().is_ok() && !self.stream.is_null() {
                (f.cuStreamSynchronize)(self.stream.0);
                (f.cuStreamDestroy_v2)(self.stream.0);
            }
            (f.cuDevicePrimaryCtxRelease_v2)(self.device);
        }
    }
}

/// Machine code on the GPU.
pub(super) struct Module {
    context: Arc<Context>,
    handle: Handle<cu::CUmod_st>,
}

/// A kernel of a module, which must outlive it.
#[derive(Clone, Copy)]
pub(super) struct Function {
    handle: Handle<cu::CUfunc_st>,
    threads: u32,
    /// Dynamic shared memory [bytes].
    shared: u32,
}

#[expect(unsafe_code, reason = "functions of the driver")]
impl Module {
    /// Puts machine code onto the GPU.
    pub(super) fn of(context: &Arc<Context>, code: &[u8]) -> Result<Self, CudaError> {
        context.enter()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the driver reads an ELF file, whose size that says itself; the cache's are checked, the others NVRTC's.
        let answer =
            unsafe { (context.driver.functions.cuModuleLoadData)(&raw mut handle, code.as_ptr().cast()) };
        context.check("cuModuleLoadData", answer)?;
        Ok(Self { context: Arc::clone(context), handle: Handle(handle) })
    }

    /// The kernel of this name, which will run with `threads` a block and `shared` bytes of dynamic shared memory.
    pub(super) fn function(&self, name: &CStr, threads: u32, shared: u32) -> Result<Function, CudaError> {
        // Without being asked for, a block gets no more.
        const USUAL: u32 = 48 << 10;
        let f = &self.context.driver.functions;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the name ends with zero; the handle is written to a local.
        unsafe {
            let answer = (f.cuModuleGetFunction)(&raw mut handle, self.handle.0, name.as_ptr());
            self.context.check("cuModuleGetFunction", answer)?;
            if shared > USUAL {
                let most = cu::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                let bytes = c_int::try_from(shared).unwrap_or(c_int::MAX);
                self.context.check("cuFuncSetAttribute", (f.cuFuncSetAttribute)(handle, most, bytes))?;
            }
        }
        Ok(Function { handle: Handle(handle), threads, shared })
    }
}

#[expect(unsafe_code, reason = "a function of the driver")]
impl Drop for Module {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: made by `of` and given back once.
            unsafe { (self.context.driver.functions.cuModuleUnload)(self.handle.0) };
        }
    }
}

/// What was captured.
pub(super) struct Graph {
    context: Arc<Context>,
    handle: Handle<cu::CUgraphExec_st>,
}

#[expect(unsafe_code, reason = "functions of the driver")]
impl Graph {
    /// Runs it.
    pub(super) fn launch(&self) -> Result<(), CudaError> {
        let stream = self.context.stream()?;
        // SAFETY: both handles are kept; what its kernels read and write is there, see `graphs`.
        let answer = unsafe { (self.context.driver.functions.cuGraphLaunch)(self.handle.0, stream) };
        self.context.check("cuGraphLaunch", answer)
    }
}

#[expect(unsafe_code, reason = "a function of the driver")]
impl Drop for Graph {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: given back once; one that runs is freed when it is done.
            unsafe { (self.context.driver.functions.cuGraphExecDestroy)(self.handle.0) };
        }
    }
}

/// A place in the stream.
pub(super) struct Event {
    context: Arc<Context>,
    handle: Handle<cu::CUevent_st>,
}

#[expect(unsafe_code, reason = "functions of the driver")]
impl Event {
    pub(super) fn new(context: &Arc<Context>) -> Result<Self, CudaError> {
        context.enter()?;
        let mut handle = std::ptr::null_mut();
        let flags = cu::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        // SAFETY: the handle is written to a local.
        let answer = unsafe { (context.driver.functions.cuEventCreate)(&raw mut handle, flags) };
        context.check("cuEventCreate", answer)?;
        Ok(Self { context: Arc::clone(context), handle: Handle(handle) })
    }

    /// Puts it behind everything that was asked for.
    pub(super) fn record(&self) -> Result<(), CudaError> {
        let stream = self.context.stream()?;
        // SAFETY: both handles are kept.
        let answer = unsafe { (self.context.driver.functions.cuEventRecord)(self.handle.0, stream) };
        self.context.check("cuEventRecord", answer)
    }

    /// Waits until the stream has come to where it was put last; one that was put nowhere is no wait.
    pub(super) fn wait(&self) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: the handle is kept.
        let answer = unsafe { (self.context.driver.functions.cuEventSynchronize)(self.handle.0) };
        self.context.check("cuEventSynchronize", answer)
    }
}

#[expect(unsafe_code, reason = "a function of the driver")]
impl Drop for Event {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: given back once.
            unsafe { (self.context.driver.functions.cuEventDestroy_v2)(self.handle.0) };
        }
    }
}

/// Memory of this machine that the GPU reads by itself.
pub(super) struct Pinned {
    context: Arc<Context>,
    start: Handle<c_void>,
    bytes: usize,
}

#[expect(unsafe_code, reason = "functions of the driver, and the memory that they give")]
impl Pinned {
    pub(super) fn new(context: &Arc<Context>, bytes: usize) -> Result<Self, CudaError> {
        context.enter()?;
        let mut start = std::ptr::null_mut();
        // SAFETY: the address is written to a local.
        let answer = unsafe { (context.driver.functions.cuMemHostAlloc)(&raw mut start, bytes, 0) };
        context.check("cuMemHostAlloc", answer)?;
        // SAFETY: it is as large; zeros make it bytes that may be read.
        unsafe { start.cast::<u8>().write_bytes(0, bytes) };
        Ok(Self { context: Arc::clone(context), start: Handle(start), bytes })
    }

    /// Its bytes, which nobody else touches: what the GPU still reads is the caller's to know.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the memory is there until this is dropped, was written when it was made, and is borrowed through `self` alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.0.cast(), self.bytes) }
    }
}

#[expect(unsafe_code, reason = "a function of the driver")]
impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: given back once; the stream is done with it, for which the context is asked to wait.
            unsafe {
                (self.context.driver.functions.cuStreamSynchronize)(self.context.stream.0);
                (self.context.driver.functions.cuMemFreeHost)(self.start.0);
            }
        }
    }
}
