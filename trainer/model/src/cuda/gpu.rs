//! A GPU as a [`Machine`].

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CudaError;
use super::blaslt::Products;
use super::context::{Context, Function, Graph, MOST_PARAMETERS, Module};
use super::cubins::{Cubin, Origin, Shelf};
use super::driver::Driver;
use super::graphs::{Graphs, Step};
use super::kernels::Kernel;
use super::libraries::Kind;
use super::machine::{Arg, Dtype, Launch, Machine, Memory, Product, Ptr, Release};
use super::ops::plain_product;
use super::staging::{MANY, Staging};

/// A GPU that this process computes on, with a stream of its own: two of them on the same GPU work side by side.
pub(crate) struct Gpu {
    inner: Arc<Inner>,
}

/// What memory keeps alive.
struct Inner {
    functions: HashMap<(Kernel, Dtype), Function>,
    products: Option<Products>,
    staging: Mutex<Option<Staging>>,
    graphs: Mutex<Graphs<Graph>>,
    /// Whether launches are written down and not done.
    capturing: AtomicBool,
    captured: Mutex<Captured>,
    /// Kept for the functions.
    _modules: Vec<Module>,
    context: Arc<Context>,
}

/// What is remembered while launches are written down.
#[derive(Default)]
struct Captured {
    /// Addresses that they name.
    addresses: Vec<u64>,
    /// Memory that was given back meanwhile, which a capture would write down too.
    released: Vec<(Ptr, usize)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// GPU `ordinal`, as the driver counts. `fast` lets cuBLASLt choose for each number of rows, so that what a row gives depends on its
    /// batch.
    ///
    /// # Errors
    /// [`CudaError::Library`] without a driver or without code for the GPU; [`CudaError::Failed`].
    pub(crate) fn open(ordinal: usize, fast: bool) -> Result<Self, CudaError> {
        let driver = Driver::of_system().map_err(|reason| CudaError::Library {
            library: Kind::Driver.name(),
            reason: reason.to_owned(),
            way_on: Kind::Driver.way_on(),
        })?;
        let context = Context::open(driver, ordinal)?;
        let products = Products::of_system(&context, fast).inspect_err(|absent| {
            tracing::debug!("{absent}: the product of matrices is our own kernel");
        });
        let cubins = Shelf::of_system().all(context.properties.capability)?;
        let gpu = Self::with(context, &cubins, products.ok())?;
        tracing::debug!("cuda:{ordinal} is {}", gpu.about());
        Ok(gpu)
    }

    /// With this code.
    pub(super) fn with(
        context: Arc<Context>,
        cubins: &[Cubin],
        products: Option<Products>,
    ) -> Result<Self, CudaError> {
        let mut functions = HashMap::new();
        let mut modules = Vec::new();
        for cubin in cubins {
            let module = module(&context, cubin)?;
            for kernel in Kernel::ALL.iter().copied().filter(|kernel| kernel.about().file == cubin.file) {
                let about = kernel.about();
                for &dtype in about.dtypes {
                    let name = CString::new(kernel.symbol(dtype)).expect("a name of letters");
                    functions.insert(
                        (kernel, dtype),
                        module.function(&name, about.threads, kernel.shared_bytes())?,
                    );
                }
            }
            modules.push(module);
        }
        let inner = Inner {
            functions,
            products,
            staging: Mutex::default(),
            graphs: Mutex::default(),
            capturing: AtomicBool::new(false),
            captured: Mutex::default(),
            _modules: modules,
            context,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Refuses what cannot be written down.
    fn outside_of_a_capture(&self, what: &'static str) -> Result<(), CudaError> {
        if !self.inner.capturing.load(Ordering::Acquire) {
            return Ok(());
        }
        let reason = "a sequence that is captured may only launch kernels and products".to_owned();
        Err(CudaError::Failed { device: self.name(), what, reason })
    }

    /// Does something with the pinned memory, which is taken the first time.
    fn staged(&self, what: impl FnOnce(&mut Staging) -> Result<(), CudaError>) -> Result<(), CudaError> {
        let mut staging = locked(&self.inner.staging);
        what(match &mut *staging {
            Some(staging) => staging,
            none => none.insert(Staging::new(&self.inner.context)?),
        })
    }

    /// Notes what a captured launch names.
    fn note(&self, addresses: impl Iterator<Item = Ptr>) {
        if self.inner.capturing.load(Ordering::Acquire) {
            let named = addresses.filter(|&address| address != Ptr::NULL).map(|address| address.0);
            locked(&self.inner.captured).addresses.extend(named);
        }
    }

    /// Runs it while it is written down.
    fn capture(
        &self,
        key: u64,
        run: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<Arc<Graph>, CudaError> {
        let inner = &self.inner;
        *locked(&inner.captured) = Captured::default();
        inner.context.begin_capture()?;
        inner.capturing.store(true, Ordering::Release);
        let ran = run();
        inner.capturing.store(false, Ordering::Release);
        // Also after an error, or the stream would write down what comes next.
        let graph = inner.context.end_capture();
        let Captured { addresses, released } = std::mem::take(&mut *locked(&inner.captured));
        let kept = ran.and(graph).map(|graph| locked(&inner.graphs).captured(key, graph, addresses));
        for (start, bytes) in released {
            inner.release(start, bytes);
        }
        kept
    }
}

/// The module of this code. Shipped code stands in where the driver does not take what a newer NVRTC made.
fn module(context: &Arc<Context>, cubin: &Cubin) -> Result<Module, CudaError> {
    Module::of(context, &cubin.code).or_else(|error| {
        let shipped = Cubin::shipped(cubin.file, context.properties.capability);
        let shipped = shipped.filter(|_| cubin.origin != Origin::Shipped).ok_or(error)?;
        tracing::debug!("{}: the driver does not take what NVRTC made", cubin.file);
        Module::of(context, &shipped.code)
    })
}

impl Release for Inner {
    fn release(&self, start: Ptr, bytes: usize) {
        if self.capturing.load(Ordering::Acquire) {
            locked(&self.captured).released.push((start, bytes));
            return;
        }
        locked(&self.graphs).forget(&(start.0..start.0 + bytes.max(1) as u64));
        self.context.release(start);
    }
}

impl Machine for Gpu {
    fn reserve(&self, bytes: usize) -> Result<Memory, CudaError> {
        self.outside_of_a_capture("reserving memory")?;
        // No bytes have an address too.
        let start = self.inner.context.reserve(bytes.max(1))?;
        let Some(start) = start else {
            let gib = |bytes: usize| bytes as f64 / f64::from(1 << 30);
            return Err(CudaError::OutOfMemory {
                device: self.name(),
                what: "the next piece",
                needed: gib(bytes),
                free: gib(self.free_bytes()?),
            });
        };
        let owner: Arc<dyn Release> = self.inner.clone();
        Ok(Memory::new(start, bytes, owner))
    }

    fn free_bytes(&self) -> Result<usize, CudaError> {
        self.outside_of_a_capture("counting memory")?;
        self.inner.context.free_bytes()
    }

    fn write(&self, to: Ptr, bytes: &[u8]) -> Result<(), CudaError> {
        self.outside_of_a_capture("writing")?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.staged(|staging| staging.write(&self.inner.context, to, bytes))
    }

    fn read(&self, from: Ptr, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.outside_of_a_capture("reading")?;
        if bytes.is_empty() {
            return self.inner.context.wait();
        }
        if bytes.len() >= MANY {
            return self.staged(|staging| staging.read(&self.inner.context, from, bytes));
        }
        self.inner.context.download(from, bytes)
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        if launch.blocks.contains(&0) {
            return Ok(());
        }
        let function = self.inner.functions.get(&(launch.kernel, launch.dtype));
        let function = function.ok_or_else(|| CudaError::Failed {
            device: self.name(),
            what: "a launch",
            reason: format!("there is no kernel {}", launch.kernel.symbol(launch.dtype)),
        })?;
        self.note(launch.args.iter().filter_map(|arg| match arg {
            Arg::Ptr(address) => Some(*address),
            Arg::Int(_) | Arg::Float(_) => None,
        }));
        let mut values = [[0; 8]; MOST_PARAMETERS];
        let values = &mut values[..launch.args.len()];
        for (value, arg) in values.iter_mut().zip(launch.args) {
            match arg {
                Arg::Ptr(address) => value.copy_from_slice(&address.0.to_ne_bytes()),
                Arg::Int(number) => value[..4].copy_from_slice(&number.to_ne_bytes()),
                Arg::Float(number) => value[..4].copy_from_slice(&number.to_ne_bytes()),
            }
        }
        self.inner.context.launch(*function, launch.blocks, values)
    }

    fn multiply(&self, product: &Product) -> Result<(), CudaError> {
        if product.m == 0 || product.n == 0 {
            return Ok(());
        }
        if let Some(products) = &self.inner.products
            && products.multiply(product)?
        {
            self.note([product.x, product.w, product.out].into_iter());
            return Ok(());
        }
        plain_product(self, product)
    }

    fn captured(&self, key: u64, run: &mut dyn FnMut() -> Result<(), CudaError>) -> Result<(), CudaError> {
        // What is within a captured sequence is part of it.
        if self.inner.capturing.load(Ordering::Acquire) {
            return run();
        }
        let step = locked(&self.inner.graphs).step(key);
        let graph = match step {
            Step::Run => return run(),
            Step::Replay(graph) => graph,
            Step::Capture => match self.capture(key, run) {
                Ok(graph) => graph,
                Err(error @ CudaError::Lost { .. }) => return Err(error),
                Err(error) => {
                    if locked(&self.inner.graphs).give_up() {
                        tracing::debug!("{error} From now on every launch is one of its own.");
                    }
                    return run();
                }
            },
        };
        graph.launch()
    }

    fn name(&self) -> String {
        self.inner.context.name.clone()
    }
}

impl Gpu {
    /// Its name, memory, compute capability, driver and libraries, for whoever reports what computed.
    pub(crate) fn about(&self) -> String {
        let properties = &self.inner.context.properties;
        let (major, minor) = properties.capability;
        let products = self
            .inner
            .products
            .as_ref()
            .map_or_else(|| "own products".to_owned(), |products| format!("cuBLASLt {}", products.version()));
        format!(
            "{} ({:.1} GiB, compute capability {major}.{minor}, driver for CUDA {}, {products})",
            properties.name,
            properties.memory as f64 / f64::from(1 << 30),
            self.inner.context.driver_version(),
        )
    }
}
