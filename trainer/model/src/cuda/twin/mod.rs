//! The kernels' twin: the same sources, compiled for the CPU, as a machine for tests. `twin.h` says what it makes visible of what
//! a GPU leaves undefined.

mod library;
mod memory;

use std::sync::Arc;

use self::library::{Library, Order};
use self::memory::Pieces;
use super::CudaError;
use super::machine::{Arg, Launch, Machine, Memory, Product, Ptr};
use super::ops::plain_product;

/// The machine. Every launch runs twice, the second time with threads and blocks in the opposite order, and fails unless both
/// leave the same bits behind.
pub(crate) struct Twin {
    library: &'static Library,
    pieces: Arc<Pieces>,
    limit: usize,
    twice: bool,
}

impl Twin {
    /// A machine with a GiB of memory; `None`, said on stderr, where there is no C++ compiler.
    ///
    /// # Panics
    /// Where there is none and `SEKISHO_TOOLS_INSTALLED=1` says that there must be one.
    pub(crate) fn new() -> Option<Self> {
        match Library::get() {
            Ok(library) => {
                Some(Self { library, pieces: Arc::new(Pieces::new()), limit: 1 << 30, twice: true })
            }
            Err(reason) => {
                let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
                assert!(!installed, "no twin of the kernels, and SEKISHO_TOOLS_INSTALLED=1: {reason}");
                eprintln!("skipped: no twin of the kernels: {reason}");
                None
            }
        }
    }

    /// One that has so many bytes of memory.
    pub(crate) fn with_memory(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// One that runs every launch once: twice as fast, and blind for what depends on the order of threads.
    pub(crate) fn running_once(self) -> Self {
        Self { twice: false, ..self }
    }

    fn failed(what: &'static str, reason: String) -> CudaError {
        CudaError::Failed { device: "the twin".to_owned(), what, reason }
    }

    /// Runs a kernel of `faults.cu` on a block of 64 threads, with as many numbers of dynamic shared memory.
    pub(super) fn launch_fault(&self, name: &'static str, args: &[Arg]) -> Result<(), CudaError> {
        self.run(name, name, [1; 3], [64, 256], args)
    }

    fn run(
        &self,
        what: &'static str,
        entry: &str,
        blocks: [u32; 3],
        threads_and_shared: [u32; 2],
        args: &[Arg],
    ) -> Result<(), CudaError> {
        for arg in args {
            if let Arg::Ptr(ptr) = arg
                && *ptr != Ptr::NULL
            {
                self.check(what, *ptr, 0)?;
            }
        }
        let pieces = self.pieces.list();
        let run = |order| {
            let ran = self.library.run(entry, blocks, threads_and_shared, args, (&pieces, order));
            ran.map_err(|reason| Self::failed(what, reason))?;
            if self.pieces.overwritten() {
                self.pieces.mend();
                return Err(Self::failed(what, "something was written beside a piece of memory".to_owned()));
            }
            Ok(())
        };
        if !self.twice {
            return run(Order::Forwards);
        }
        let before = self.pieces.copy();
        run(Order::Forwards)?;
        let found = self.pieces.copy();
        self.pieces.restore(&before);
        run(Order::Backwards)?;
        if self.pieces.copy() != found {
            return Err(Self::failed(what, "the result depends on the order of the threads".to_owned()));
        }
        Ok(())
    }

    /// Refuses bytes that are not all of one piece.
    fn check(&self, what: &'static str, start: Ptr, bytes: usize) -> Result<(), CudaError> {
        if self.pieces.holds(start, bytes) {
            return Ok(());
        }
        Err(Self::failed(what, format!("{bytes} bytes that are not in one piece of memory")))
    }
}

impl Machine for Twin {
    fn reserve(&self, bytes: usize) -> Result<Memory, CudaError> {
        let free = self.free_bytes()?;
        if bytes > free {
            let gib = |bytes: usize| bytes as f64 / f64::from(1 << 30);
            let (needed, free) = (gib(bytes), gib(free));
            return Err(CudaError::OutOfMemory { device: self.name(), what: "a test", needed, free });
        }
        Ok(Memory::new(self.pieces.take(bytes), bytes, self.pieces.clone()))
    }

    fn free_bytes(&self) -> Result<usize, CudaError> {
        Ok(self.limit.saturating_sub(self.pieces.total()))
    }

    fn write(&self, to: Ptr, bytes: &[u8]) -> Result<(), CudaError> {
        self.check("a copy to it", to, bytes.len())?;
        memory::write(to, bytes);
        Ok(())
    }

    fn read(&self, from: Ptr, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.check("a copy from it", from, bytes.len())?;
        memory::read(from, bytes);
        Ok(())
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        let (about, symbol) = (launch.kernel.about(), launch.kernel.symbol(launch.dtype));
        let threads_and_shared = [about.threads, launch.kernel.shared_bytes()];
        self.run(about.name, &symbol, launch.blocks, threads_and_shared, launch.args)
    }

    fn multiply(&self, product: &Product) -> Result<(), CudaError> {
        plain_product(self, product)
    }

    fn name(&self) -> String {
        "the kernels' twin on the CPU".to_owned()
    }
}
