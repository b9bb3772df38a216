//! The functions of CUDA's libraries that we call, as addresses taken from an opened library.
//!
//! Their parameters are held, when this is compiled, against those of cudarc, which are generated from CUDA's headers of the oldest
//! version that we run with. Its functions themselves are not called: they do not know the file names of CUDA 13's libraries, panic
//! where a library lacks a function, and return enumerations to which a newer library adds values. Results are numbers here.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

use cudarc::cublaslt::sys as lt;
use cudarc::driver::sys as cu;
use cudarc::nvrtc::sys as rtc;
use libloading::os::unix::Library;

macro_rules! functions {
    (
        $(#[$about:meta])*
        $table:ident of $sys:ident, $status:ident {
            $($name:ident($($arg:ty),* $(,)?);)+
        }
        unlike the headers { $($odd:ident: $signature:ty;)* }
    ) => {
        $(#[$about])*
        #[expect(non_snake_case, reason = "the names of the library")]
        pub(super) struct $table {
            $(pub(super) $name: unsafe extern "C" fn($($arg),*) -> u32,)+
            $(pub(super) $odd: $signature,)*
        }

        // The parameters of a declaration that differs from the header's do not compile.
        $(const _: unsafe fn($($arg),*) -> $sys::$status = $sys::$name;)+

        impl $table {
            /// Their addresses, which stay good for as long as the library is not closed.
            ///
            /// # Errors
            /// The name of a function that the library lacks.
            #[expect(unsafe_code, reason = "a symbol's type is only known to whoever asks for it")]
            pub(super) fn of(library: &Library) -> Result<Self, &'static str> {
                Ok(Self {
                    $(
                        // SAFETY: the function of this name has these parameters (see above) and returns 32 bits.
                        $name: *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }
                            .map_err(|_| stringify!($name))?,
                    )+
                    $(
                        // SAFETY: as the header declares it, an enumeration apart that is passed as a number.
                        $odd: *unsafe { library.get(concat!(stringify!($odd), "\0").as_bytes()) }
                            .map_err(|_| stringify!($odd))?,
                    )*
                })
            }
        }
    };
}

functions! {
    /// Of the driver, `libcuda`.
    DriverFunctions of cu, CUresult {
        cuInit(c_uint);
        cuDriverGetVersion(*mut c_int);
        cuDeviceGetCount(*mut c_int);
        cuDeviceGet(*mut cu::CUdevice, c_int);
        cuDeviceGetName(*mut c_char, c_int, cu::CUdevice);
        cuDeviceTotalMem_v2(*mut usize, cu::CUdevice);
        cuDeviceGetAttribute(*mut c_int, cu::CUdevice_attribute, cu::CUdevice);
        cuDeviceGetDefaultMemPool(*mut cu::CUmemoryPool, cu::CUdevice);
        cuDevicePrimaryCtxRetain(*mut cu::CUcontext, cu::CUdevice);
        cuDevicePrimaryCtxRelease_v2(cu::CUdevice);
        cuCtxSetCurrent(cu::CUcontext);
        cuMemGetInfo_v2(*mut usize, *mut usize);
        cuMemPoolSetAttribute(cu::CUmemoryPool, cu::CUmemPool_attribute, *mut c_void);
        cuMemPoolGetAttribute(cu::CUmemoryPool, cu::CUmemPool_attribute, *mut c_void);
        cuMemPoolTrimTo(cu::CUmemoryPool, usize);
        cuMemAllocAsync(*mut cu::CUdeviceptr, usize, cu::CUstream);
        cuMemFreeAsync(cu::CUdeviceptr, cu::CUstream);
        cuMemAlloc_v2(*mut cu::CUdeviceptr, usize);
        cuMemFree_v2(cu::CUdeviceptr);
        cuMemHostAlloc(*mut *mut c_void, usize, c_uint);
        cuMemFreeHost(*mut c_void);
        cuMemcpyHtoDAsync_v2(cu::CUdeviceptr, *const c_void, usize, cu::CUstream);
        cuMemcpyDtoHAsync_v2(*mut c_void, cu::CUdeviceptr, usize, cu::CUstream);
        cuStreamCreate(*mut cu::CUstream, c_uint);
        cuStreamDestroy_v2(cu::CUstream);
        cuStreamSynchronize(cu::CUstream);
        cuStreamBeginCapture_v2(cu::CUstream, cu::CUstreamCaptureMode);
        cuStreamEndCapture(cu::CUstream, *mut cu::CUgraph);
        cuEventCreate(*mut cu::CUevent, c_uint);
        cuEventDestroy_v2(cu::CUevent);
        cuEventRecord(cu::CUevent, cu::CUstream);
        cuEventSynchronize(cu::CUevent);
        cuModuleLoadData(*mut cu::CUmodule, *const c_void);
        cuModuleUnload(cu::CUmodule);
        cuModuleGetFunction(*mut cu::CUfunction, cu::CUmodule, *const c_char);
        cuFuncSetAttribute(cu::CUfunction, cu::CUfunction_attribute, c_int);
        cuLaunchKernel(
            cu::CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, cu::CUstream,
            *mut *mut c_void, *mut *mut c_void,
        );
        cuGraphInstantiateWithFlags(*mut cu::CUgraphExec, cu::CUgraph, c_ulonglong);
        cuGraphLaunch(cu::CUgraphExec, cu::CUstream);
        cuGraphExecDestroy(cu::CUgraphExec);
        cuGraphDestroy(cu::CUgraph);
    }
    unlike the headers {
        cuGetErrorName: unsafe extern "C" fn(u32, *mut *const c_char) -> u32;
    }
}

functions! {
    /// Of NVIDIA's run-time compiler, `libnvrtc`.
    NvrtcFunctions of rtc, nvrtcResult {
        nvrtcVersion(*mut c_int, *mut c_int);
        nvrtcGetNumSupportedArchs(*mut c_int);
        nvrtcGetSupportedArchs(*mut c_int);
        nvrtcCreateProgram(
            *mut rtc::nvrtcProgram, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char,
        );
        nvrtcCompileProgram(rtc::nvrtcProgram, c_int, *const *const c_char);
        nvrtcGetProgramLogSize(rtc::nvrtcProgram, *mut usize);
        nvrtcGetProgramLog(rtc::nvrtcProgram, *mut c_char);
        nvrtcGetCUBINSize(rtc::nvrtcProgram, *mut usize);
        nvrtcGetCUBIN(rtc::nvrtcProgram, *mut c_char);
        nvrtcDestroyProgram(*mut rtc::nvrtcProgram);
    }
    unlike the headers {
        nvrtcGetErrorString: unsafe extern "C" fn(u32) -> *const c_char;
    }
}

functions! {
    /// Of the library for matrix products, `libcublasLt`.
    BlasLtFunctions of lt, cublasStatus_t {
        cublasLtCreate(*mut lt::cublasLtHandle_t);
        cublasLtDestroy(lt::cublasLtHandle_t);
        cublasLtMatmulDescCreate(*mut lt::cublasLtMatmulDesc_t, lt::cublasComputeType_t, lt::cudaDataType_t);
        cublasLtMatmulDescSetAttribute(
            lt::cublasLtMatmulDesc_t, lt::cublasLtMatmulDescAttributes_t, *const c_void, usize,
        );
        cublasLtMatmulDescDestroy(lt::cublasLtMatmulDesc_t);
        cublasLtMatrixLayoutCreate(*mut lt::cublasLtMatrixLayout_t, lt::cudaDataType, u64, u64, i64);
        cublasLtMatrixLayoutDestroy(lt::cublasLtMatrixLayout_t);
        cublasLtMatmulPreferenceCreate(*mut lt::cublasLtMatmulPreference_t);
        cublasLtMatmulPreferenceSetAttribute(
            lt::cublasLtMatmulPreference_t, lt::cublasLtMatmulPreferenceAttributes_t, *const c_void, usize,
        );
        cublasLtMatmulPreferenceDestroy(lt::cublasLtMatmulPreference_t);
        cublasLtMatmulAlgoConfigGetAttribute(
            *const lt::cublasLtMatmulAlgo_t, lt::cublasLtMatmulAlgoConfigAttributes_t, *mut c_void, usize, *mut usize,
        );
        cublasLtMatmulAlgoGetHeuristic(
            lt::cublasLtHandle_t, lt::cublasLtMatmulDesc_t, lt::cublasLtMatrixLayout_t, lt::cublasLtMatrixLayout_t,
            lt::cublasLtMatrixLayout_t, lt::cublasLtMatrixLayout_t, lt::cublasLtMatmulPreference_t, c_int,
            *mut lt::cublasLtMatmulHeuristicResult_t, *mut c_int,
        );
        cublasLtMatmulAlgoCheck(
            lt::cublasLtHandle_t, lt::cublasLtMatmulDesc_t, lt::cublasLtMatrixLayout_t, lt::cublasLtMatrixLayout_t,
            lt::cublasLtMatrixLayout_t, lt::cublasLtMatrixLayout_t, *const lt::cublasLtMatmulAlgo_t,
            *mut lt::cublasLtMatmulHeuristicResult_t,
        );
        cublasLtMatmul(
            lt::cublasLtHandle_t, lt::cublasLtMatmulDesc_t, *const c_void, *const c_void, lt::cublasLtMatrixLayout_t,
            *const c_void, lt::cublasLtMatrixLayout_t, *const c_void, *const c_void, lt::cublasLtMatrixLayout_t,
            *mut c_void, lt::cublasLtMatrixLayout_t, *const lt::cublasLtMatmulAlgo_t, *mut c_void, usize,
            lt::cudaStream_t,
        );
    }
    unlike the headers {
        cublasLtGetVersion: unsafe extern "C" fn() -> usize;
        cublasLtGetCudartVersion: unsafe extern "C" fn() -> usize;
    }
}
