//! Where the pages come from.

use sekisho_server::{Answer, Config, Reader, take};
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::exit::{ExitStatus, Failed};

/// A service that is asked over HTTP, or a data folder that no service has.
pub(crate) enum Source {
    Service(Client),
    Folder { runtime: Runtime, reader: Box<Reader> },
}

impl Source {
    /// Takes a data folder.
    pub(crate) fn folder(config: Config) -> anyhow::Result<Self> {
        let dir = config.dir.clone();
        if !dir.is_dir() {
            let text = format!(
                "There is no data folder {}. Name the one that `sekisho serve` or `demo` keeps with --dir.",
                dir.display()
            );
            return Err(Failed::with(ExitStatus::NotFound, text));
        }
        let lock = take(&dir).map_err(|error| {
            let text = format!("{error}. Ask the service that has it: --server URL in place of --dir.");
            Failed::with(ExitStatus::Conflict, text)
        })?;
        let runtime = Runtime::new()?;
        let reader = runtime.block_on(Reader::open(config, lock)).map_err(Failed::user)?;
        Ok(Self::Folder { runtime, reader: Box::new(reader) })
    }

    /// GET of a path with its query.
    pub(super) fn get(&self, address: &str) -> anyhow::Result<Answer> {
        match self {
            Self::Folder { runtime, reader } => Ok(runtime.block_on(reader.get(address))?),
            Self::Service(client) => {
                let answer = client.page(address)?;
                let status = answer.status().as_u16();
                let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
                let kind = kind.unwrap_or_default().to_owned();
                Ok(Answer { status, kind, bytes: answer.bytes()? })
            }
        }
    }
}
