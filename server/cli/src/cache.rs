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

/// `$XDG_CACHE_HOME/sekisho`, or `~/.cache/sekisho`; no path where neither is one. A folder for all users is no place for it: anybody
/// could put tokens there.
pub(crate) fn default() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    base.map_or_else(PathBuf::new, |base| base.join("sekisho"))
}
