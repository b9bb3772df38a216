use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sekisho_domain::{Clock, Entropy, Timestamp};

/// The machine's clock. The only place of the service that reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(jiff::Timestamp::now().as_millisecond())
    }
}

/// The clock of the database, as this process keeps it: the machine's, and by how much the database's was ahead when it was last asked.
/// Servers on one database agree on the time by it, whatever the clocks of their machines say.
#[derive(Clone, Debug, Default)]
pub struct SharedClock {
    ahead_ms: Arc<AtomicI64>,
}

impl SharedClock {
    /// Takes over what the database said between two moments of this machine's clock. Answers by how many milliseconds it is ahead.
    pub fn set(&self, said: Timestamp, before: Timestamp, after: Timestamp) -> i64 {
        let middle = before.unix_ms().midpoint(after.unix_ms());
        let ahead = said.unix_ms() - middle;
        self.ahead_ms.store(ahead, Ordering::Relaxed);
        ahead
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        Timestamp::from_unix_ms(SystemClock.now().unix_ms() + ahead)
    }
}

/// The operating system's source of random bytes. The only place of the service that draws them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
