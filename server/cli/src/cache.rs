use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a command keeps what it need not learn twice.
#[derive(clap::Args)]
pub(crate) struct CacheArgs {
    /// Folder for tokens of texts and digests of files; empty for none [default: ~/.cache/sekisho]
    #[arg(long, env = "SEKISHO_CACHE", hide_env_values = true, value_name = "DIR")]
    cache: Option<OsString>,
}

impl CacheArgs {
    /// None where there is to be none.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let folder = self.cache.as_ref().map_or_else(default, PathBuf::from);
        Some(folder).filter(|folder| folder != Path::new(""))
    }
}

/// `$XDG_CACHE_HOME/sekisho`, or `~/.cache/sekisho`.
pub(crate) fn default() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    base.or_else(home).unwrap_or_else(std::env::temp_dir).join("sekisho")
}
