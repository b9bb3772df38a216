//! Products of matrices by cuBLASLt. It counts by columns, so `out [m, n] = x [m, k] · wᵀ` is there `outᵀ = w · xᵀ`: the first
//! matrix is `w`, transposed, and the number of columns is `m`. Of the two gradients the first is `w` as it lies, and of that of a weight
//! the second is `x`, transposed.

mod description;

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cudarc::cublaslt::sys as lt;

use description::Description;

use super::CudaError;
use super::algorithms::{Candidate, Class, Terms, choose};
use super::context::Context;
use super::driver::Driver;
use super::functions::BlasLtFunctions;
use super::libraries::{self, Absent, Found, Kind, Places, Version};
use super::machine::{Into, Product, Ptr};

/// Algorithms that the heuristics are asked for.
const CANDIDATES: usize = 64;
/// Memory that an algorithm may use if it must [bytes].
const WORKSPACE: usize = 32 << 20;
/// What cuBLASLt answers if there is no such algorithm.
const NOT_SUPPORTED: u32 = lt::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED as u32;

/// The library.
pub(super) struct BlasLt {
    found: Found<BlasLtFunctions>,
}

impl BlasLt {
    /// This machine's.
    pub(super) fn of_system() -> Result<&'static Self, &'static Absent> {
        static BLASLT: OnceLock<Result<BlasLt, Absent>> = OnceLock::new();
        let open = || {
            let driver = Driver::of_system().ok().map(|driver| driver.version);
            Self::open(&Places::of_environment(), driver)
        };
        BLASLT.get_or_init(open).as_ref()
    }

    /// One from these places that a driver of this version runs.
    pub(super) fn open(places: &Places, driver: Option<Version>) -> Result<Self, Absent> {
        let found = libraries::open(Kind::BlasLt, places, |library| {
            let functions = BlasLtFunctions::of(library).map_err(|name| format!("has no function {name}"))?;
            #[expect(unsafe_code, reason = "a function of cuBLASLt")]
            // SAFETY: it only returns a number.
            let number = unsafe { (functions.cublasLtGetCudartVersion)() };
            let version = Version::of_number(u32::try_from(number).unwrap_or(u32::MAX));
            version.suits(driver)?;
            Ok((functions, version))
        })?;
        Ok(Self { found })
    }

    /// Its own version, `12.0.1`.
    pub(super) fn version(&self) -> String {
        #[expect(unsafe_code, reason = "a function of cuBLASLt")]
        // SAFETY: it only returns a number.
        let number = unsafe { (self.found.functions.cublasLtGetVersion)() };
        format!("{}.{}.{}", number / 10_000, number % 10_000 / 100, number % 100)
    }

    /// Its file.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.found.path
    }
}

/// An algorithm, of which nothing but the library knows more.
#[derive(Clone, Copy)]
struct Algorithm {
    code: lt::cublasLtMatmulAlgo_t,
    /// Memory that it is lent [bytes].
    workspace: usize,
}

/// As in the library's header, a number in place of an enumeration.
#[repr(C)]
#[derive(Clone, Copy)]
struct Heuristic {
    algorithm: lt::cublasLtMatmulAlgo_t,
    workspace: usize,
    status: u32,
    waves: f32,
    reserved: [c_int; 4],
}

const _: () = assert!(size_of::<Heuristic>() == size_of::<lt::cublasLtMatmulHeuristicResult_t>());

impl Heuristic {
    const NONE: Self = Self {
        algorithm: lt::cublasLtMatmulAlgo_t { data: [0; 8] },
        workspace: 0,
        status: NOT_SUPPORTED,
        waves: 0.0,
        reserved: [0; 4],
    };
}

/// Computes products on one GPU.
pub(super) struct Products {
    library: &'static BlasLt,
    /// The library may be called with it from any thread.
    handle: usize,
    context: Arc<Context>,
    fast: bool,
    /// Of [`WORKSPACE`] bytes, or none.
    workspace: Ptr,
    chosen: Mutex<HashMap<Class, Option<Algorithm>>>,
}

#[expect(unsafe_code, reason = "functions of cuBLASLt")]
impl Products {
    /// By this machine's library.
    ///
    /// # Errors
    /// Why it is not used, in a sentence.
    pub(super) fn of_system(context: &Arc<Context>, fast: bool) -> Result<Self, String> {
        let library = BlasLt::of_system().map_err(ToString::to_string)?;
        Self::with(library, context, fast).map_err(|error| error.to_string())
    }

    /// By this library.
    pub(super) fn with(
        library: &'static BlasLt,
        context: &Arc<Context>,
        fast: bool,
    ) -> Result<Self, CudaError> {
        let mut handle = std::ptr::null_mut();
        // The context must be the thread's.
        context.stream()?;
        // SAFETY: the handle is written to a local.
        let answer = unsafe { (library.found.functions.cublasLtCreate)(&raw mut handle) };
        check(context, "cublasLtCreate", answer)?;
        let mut products = Self {
            library,
            handle: handle as usize,
            context: Arc::clone(context),
            fast,
            workspace: Ptr::NULL,
            chosen: Mutex::default(),
        };
        products.workspace = context.reserve(WORKSPACE)?.unwrap_or(Ptr::NULL);
        Ok(products)
    }

    /// The library's version.
    pub(super) fn version(&self) -> String {
        self.library.version()
    }

    fn functions(&self) -> &'static BlasLtFunctions {
        &self.library.found.functions
    }

    fn handle(&self) -> lt::cublasLtHandle_t {
        self.handle as lt::cublasLtHandle_t
    }

    /// Computes a product; says no where the library has no algorithm for such, whatever the number of its rows.
    pub(super) fn multiply(&self, product: &Product) -> Result<bool, CudaError> {
        let class = Class::of(product, self.fast);
        let algorithm = {
            let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
            match chosen.get(&class) {
                Some(algorithm) => *algorithm,
                None => *chosen.entry(class).or_insert(self.choose(&class)?),
            }
        };
        let Some(algorithm) = algorithm else { return Ok(false) };
        let description = Description::of(self, &class, product.m)?;
        let stream = self.context.stream()?.cast();
        let (one, beta) = (1.0_f32, if product.into == Into::Added { 1.0_f32 } else { 0.0 });
        let out = product.out.0 as *mut c_void;
        let workspace = if algorithm.workspace == 0 { Ptr::NULL } else { self.workspace };
        // SAFETY: the addresses are the GPU's, and of as many values as the layouts say, which the caller of `Machine::multiply` promises;
        // factors are read before this returns.
        let answer = unsafe {
            (self.functions().cublasLtMatmul)(
                self.handle(),
                description.operation,
                (&raw const one).cast(),
                product.w.0 as *const c_void,
                description.w,
                product.x.0 as *const c_void,
                description.x,
                (&raw const beta).cast(),
                out.cast_const(),
                description.out,
                out,
                description.out,
                &raw const algorithm.code,
                workspace.0 as *mut c_void,
                algorithm.workspace,
                stream,
            )
        };
        match answer {
            0 => Ok(true),
            NOT_SUPPORTED if self.fast => Ok(false),
            answer => {
                // What went wrong before on the GPU shows here too.
                self.context.wait()?;
                check(&self.context, "cublasLtMatmul", answer).map(|()| true)
            }
        }
    }

    /// The algorithm of a class.
    fn choose(&self, class: &Class) -> Result<Option<Algorithm>, CudaError> {
        if !class.is_aligned() {
            return Ok(None);
        }
        let most = if self.workspace == Ptr::NULL { 0 } else { WORKSPACE };
        for workspace in if self.fast { vec![most] } else { vec![0, most] } {
            let chosen = self.choose_under(Terms { fast: self.fast, workspace }, class)?;
            if chosen.is_some() {
                return Ok(chosen);
            }
        }
        tracing::debug!("cuBLASLt has no algorithm for {class:?}");
        Ok(None)
    }

    fn choose_under(&self, terms: Terms, class: &Class) -> Result<Option<Algorithm>, CudaError> {
        let candidates = self.candidates(terms, class)?;
        let chosen = choose(candidates, terms, class, |algorithm, m| {
            let description = Description::of(self, class, m).ok()?;
            let mut result = Heuristic::NONE;
            // SAFETY: the descriptions and the algorithm are the library's; the result is a local as large as the library's.
            let answer = unsafe {
                (self.functions().cublasLtMatmulAlgoCheck)(
                    self.handle(),
                    description.operation,
                    description.w,
                    description.x,
                    description.out,
                    description.out,
                    &raw const algorithm.code,
                    (&raw mut result).cast(),
                )
            };
            (answer == 0).then(|| self.candidate(&algorithm.code, result.workspace))
        });
        if let Some(Algorithm { code, workspace }) = &chosen {
            use lt::cublasLtMatmulAlgoConfigAttributes_t as Attribute;
            let number = self.setting(code, Attribute::CUBLASLT_ALGO_CONFIG_ID);
            let tile = self.setting(code, Attribute::CUBLASLT_ALGO_CONFIG_TILE_ID);
            tracing::debug!(
                "cuBLASLt computes {class:?} by algorithm {number:?}, tile {tile:?}, {workspace} bytes"
            );
        }
        Ok(chosen)
    }

    /// What the heuristics propose, the best first.
    fn candidates(&self, terms: Terms, class: &Class) -> Result<Vec<(Algorithm, Candidate)>, CudaError> {
        let description = Description::of(self, class, class.rows)?;
        let preference = self.preference(terms)?;
        let mut results = [Heuristic::NONE; CANDIDATES];
        let mut count = 0;
        // SAFETY: the descriptions are the library's; there is room for as many results as are asked for.
        let answer = unsafe {
            let answer = (self.functions().cublasLtMatmulAlgoGetHeuristic)(
                self.handle(),
                description.operation,
                description.w,
                description.x,
                description.out,
                description.out,
                preference,
                c_int::try_from(CANDIDATES).expect("a few"),
                results.as_mut_ptr().cast(),
                &raw mut count,
            );
            (self.functions().cublasLtMatmulPreferenceDestroy)(preference);
            answer
        };
        if answer == NOT_SUPPORTED {
            return Ok(Vec::new());
        }
        check(&self.context, "cublasLtMatmulAlgoGetHeuristic", answer)?;
        let count = usize::try_from(count).unwrap_or(0).min(CANDIDATES);
        let found = results[..count].iter().filter(|result| result.status == 0);
        Ok(found
            .map(|&Heuristic { algorithm: code, workspace, .. }| {
                (Algorithm { code, workspace: terms.workspace }, self.candidate(&code, workspace))
            })
            .collect())
    }

    /// What an algorithm may need.
    fn preference(&self, terms: Terms) -> Result<lt::cublasLtMatmulPreference_t, CudaError> {
        use lt::cublasLtMatmulPreferenceAttributes_t as Attribute;
        let mut preference = std::ptr::null_mut();
        let f = self.functions();
        // SAFETY: the handle is written to a local; attributes are read from locals of the size that is told.
        unsafe {
            let answer = (f.cublasLtMatmulPreferenceCreate)(&raw mut preference);
            check(&self.context, "cublasLtMatmulPreferenceCreate", answer)?;
            let set = |attribute, value: *const c_void, size| {
                let answer = (f.cublasLtMatmulPreferenceSetAttribute)(preference, attribute, value, size);
                check(&self.context, "cublasLtMatmulPreferenceSetAttribute", answer)
            };
            let most = terms.workspace as u64;
            let set_all = || {
                set(Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, (&raw const most).cast(), 8)?;
                if !terms.fast {
                    let none = lt::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_NONE as u32;
                    let attribute = Attribute::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
                    set(attribute, (&raw const none).cast(), 4)?;
                }
                let alignment = 16_u32;
                for attribute in [
                    Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                    Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                    Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                    Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
                ] {
                    set(attribute, (&raw const alignment).cast(), 4)?;
                }
                Ok(())
            };
            set_all().inspect_err(|_: &CudaError| {
                (f.cublasLtMatmulPreferenceDestroy)(preference);
            })?;
        }
        Ok(preference)
    }

    fn candidate(&self, algorithm: &lt::cublasLtMatmulAlgo_t, workspace: usize) -> Candidate {
        use lt::cublasLtMatmulAlgoConfigAttributes_t as Attribute;
        Candidate {
            splits: self.setting(algorithm, Attribute::CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
            reduction: self.setting(algorithm, Attribute::CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME),
            tile: self.setting(algorithm, Attribute::CUBLASLT_ALGO_CONFIG_TILE_ID),
            workspace,
        }
    }

    /// One of an algorithm's settings.
    fn setting(
        &self,
        algorithm: &lt::cublasLtMatmulAlgo_t,
        attribute: lt::cublasLtMatmulAlgoConfigAttributes_t,
    ) -> Option<u32> {
        let (mut value, mut written) = (0_u32, 0);
        // SAFETY: the settings that are asked for are 32 bits, as the local that they are written to.
        let answer = unsafe {
            (self.functions().cublasLtMatmulAlgoConfigGetAttribute)(
                algorithm,
                attribute,
                (&raw mut value).cast(),
                4,
                &raw mut written,
            )
        };
        (answer == 0).then_some(value)
    }
}

#[expect(unsafe_code, reason = "a function of cuBLASLt")]
impl Drop for Products {
    fn drop(&mut self) {
        if self.workspace != Ptr::NULL {
            self.context.release(self.workspace);
        }
        if self.context.stream().is_ok() {
            // SAFETY: made by `with` and given back once.
            unsafe { (self.functions().cublasLtDestroy)(self.handle()) };
        }
    }
}

/// An answer of the library as a result.
fn check(context: &Context, what: &'static str, answer: u32) -> Result<(), CudaError> {
    let reason = match answer {
        0 => return Ok(()),
        1 => "CUBLAS_STATUS_NOT_INITIALIZED",
        3 => "CUBLAS_STATUS_ALLOC_FAILED",
        7 => "CUBLAS_STATUS_INVALID_VALUE",
        8 => "CUBLAS_STATUS_ARCH_MISMATCH",
        13 => "CUBLAS_STATUS_EXECUTION_FAILED",
        14 => "CUBLAS_STATUS_INTERNAL_ERROR",
        15 => "CUBLAS_STATUS_NOT_SUPPORTED",
        _ => "an answer that it has no name for",
    };
    Err(CudaError::Failed { device: context.name.clone(), what, reason: format!("cuBLASLt says {reason}") })
}
