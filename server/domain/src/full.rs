//! What a full disk is called.

use std::error::Error;
use std::io::{self, ErrorKind};

/// Whether an error says, itself or by its cause, that there is no room on a disk, in a quota, or below the limit on the size of
/// files.
#[must_use]
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let full = |error: &io::Error| {
        let kind = error.kind();
        matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
            // An error that wraps another and shows its text does not name it as its cause.
            || error.get_ref().is_some_and(|inner| is_disk_full(inner))
    };
    error.downcast_ref::<io::Error>().is_some_and(full) || error.source().is_some_and(is_disk_full)
}

/// An error of the disk as a sentence: a full one with the way on, any other in the system's words.
#[must_use]
pub fn disk_sentence(error: &io::Error) -> String {
    if is_disk_full(error) {
        return format!(
            "Not enough space on the disk ({error}). Free some space and start again; what was finished is kept."
        );
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_through_its_wrappers() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        assert!(is_disk_full(&full()) && is_disk_full(&io::Error::other(full())));
        assert!(!is_disk_full(&io::Error::from(ErrorKind::NotFound)));
        assert!(disk_sentence(&full()).contains("Free some space"));
        assert_eq!(disk_sentence(&io::Error::other("gone")), "gone");
    }
}
