//! Where the service speaks to when a person names the address: never to itself, to its neighbours, or to what a cloud keeps for its
//! machines. An address is resolved once, checked, and connected to as it was checked, so a name that answers differently the next time
//! gains nothing.
//!
//! Ranges: the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890), and the ways in which IPv6 carries an IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use sekisho_domain::Text;

/// How long a name may take to resolve, and a connection to open.
const CONNECT: Duration = Duration::from_secs(10);
/// Ports of HTTPS.
const PORTS: [u16; 2] = [443, 8443];

/// Why an address is not spoken to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EgressError {
    /// No URL.
    #[error("it is no URL ({0})")]
    Url(String),
    /// Not HTTPS.
    #[error("it does not begin with https://; a host in [webhooks] allow may use http")]
    Scheme,
    /// A name or a password in the URL.
    #[error("a user name or a password stands in it; messages are signed instead")]
    Userinfo,
    /// Another port.
    #[error("port {0} is neither 443 nor 8443; name {1}:{0} in [webhooks] allow")]
    Port(u16, String),
    /// An address inside.
    #[error(
        "{host} is {address}, {range}; only public addresses are spoken to, and hosts in [webhooks] allow"
    )]
    Inside {
        /// As the URL has it.
        host: String,
        /// What it resolves to.
        address: IpAddr,
        /// What that is.
        range: &'static str,
    },
    /// No address.
    #[error("the name {host} cannot be resolved ({reason})")]
    Name {
        /// As the URL has it.
        host: String,
        /// Why.
        reason: String,
    },
}

impl EgressError {
    /// The sentence in both languages.
    #[must_use]
    pub(crate) fn text(&self) -> Text {
        let ja = match self {
            Self::Url(reason) => format!("URLとして解釈できません（{reason}）"),
            Self::Scheme => {
                "https:// で始まるURLを指定してください。httpは [webhooks] allow に登録したホストに限ります"
                    .to_owned()
            }
            Self::Userinfo => {
                "URLにユーザー名やパスワードを含めることはできません。メッセージは署名で検証してください"
                    .to_owned()
            }
            Self::Port(port, host) => {
                format!(
                    "ポート{port}は使用できません（443または8443）。必要な場合は {host}:{port} を [webhooks] allow に登録してください"
                )
            }
            Self::Inside { host, address, .. } => format!(
                "{host} は内部のアドレス（{address}）です。公開されているアドレス、または [webhooks] allow に登録したホストを指定してください"
            ),
            Self::Name { host, reason } => format!("ホスト名 {host} を解決できません（{reason}）"),
        };
        Text { en: self.to_string(), ja }
    }
}

/// Hosts that an administrator allows although they are inside: `host` with the usual ports, `host:port` with that one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(Vec<(String, Option<u16>)>);

impl Allow {
    /// Reads the entries of a configuration.
    ///
    /// # Errors
    /// The entry that is no host and no host with a port.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        entries
            .iter()
            .map(|entry| Self::entry(entry).ok_or_else(|| entry.clone()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn entry(entry: &str) -> Option<(String, Option<u16>)> {
        let url = Url::parse(&format!("http://{entry}/")).ok()?;
        let port = entry.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let host = url.host_str().filter(|_| bare)?.to_owned();
        // What stands there is a host and nothing else: `https://host` is a scheme with a host.
        let fits = entry.eq_ignore_ascii_case(&host)
            || port.is_some_and(|port: u16| entry.eq_ignore_ascii_case(&format!("{host}:{port}")));
        fits.then_some((host, port))
    }

    fn has(&self, host: &str, port: u16) -> bool {
        let usual = port == 80 || PORTS.contains(&port);
        self.0.iter().any(|(name, own)| name == host && own.map_or(usual, |own| own == port))
    }
}

/// An address that may be spoken to, as far as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    url: Url,
    host: String,
    port: u16,
    /// An administrator allows it, wherever it is.
    allowed: bool,
}

impl Target {
    /// Looks at the text of an address; nobody is asked.
    ///
    /// # Errors
    /// [`EgressError`], for everything but what a name resolves to.
    pub(crate) fn parse(text: &str, allow: &Allow) -> Result<Self, EgressError> {
        let url = Url::parse(text).map_err(|error| EgressError::Url(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Userinfo);
        }
        let (Some(host), Some(port)) = (url.host_str().map(ToOwned::to_owned), url.port_or_known_default())
        else {
            return Err(EgressError::Scheme);
        };
        let allowed = allow.has(&host, port);
        if url.scheme() != "https" && !(url.scheme() == "http" && allowed) {
            return Err(EgressError::Scheme);
        }
        if !allowed && !PORTS.contains(&port) {
            return Err(EgressError::Port(port, host));
        }
        let target = Self { url, host, port, allowed };
        if let Some(address) = target.literal() {
            target.admit(&[SocketAddr::new(address, port)])?;
        }
        Ok(target)
    }

    /// The address itself, where the URL names no host. The parser has made the other spellings (octal, hexadecimal, one number) plain.
    fn literal(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Checks what the host resolves to: one address inside is enough for a refusal, for it may be the one that is connected to.
    fn admit(&self, addresses: &[SocketAddr]) -> Result<(), EgressError> {
        let inside = addresses.iter().find_map(|address| Some((address.ip(), range_of(address.ip())?)));
        match inside {
            Some((address, range)) if !self.allowed => {
                Err(EgressError::Inside { host: self.host.clone(), address, range })
            }
            _ => Ok(()),
        }
    }

    /// Resolves the host, checks every address, and answers a client that connects to these and no others, under the original name.
    /// It follows no redirect and uses no proxy of the environment.
    ///
    /// # Errors
    /// [`EgressError`].
    pub(crate) async fn client(&self, timeout: Duration) -> Result<reqwest::Client, EgressError> {
        let name = |reason: String| EgressError::Name { host: self.host.clone(), reason };
        let addresses: Vec<SocketAddr> = match self.literal() {
            Some(address) => vec![SocketAddr::new(address, self.port)],
            None => tokio::time::timeout(CONNECT, tokio::net::lookup_host((self.host.as_str(), self.port)))
                .await
                .map_err(|_| name("no answer".to_owned()))?
                .map_err(|error| name(error.to_string()))?
                .collect(),
        };
        if addresses.is_empty() {
            return Err(name("it has no address".to_owned()));
        }
        self.admit(&addresses)?;
        reqwest::Client::builder()
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .dns_resolver(Checked(addresses))
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            .build()
            .map_err(|error| EgressError::Url(error.to_string()))
    }

    /// The address.
    #[must_use]
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }
}

/// Answers every name with the addresses that were checked, so that nobody is asked a second time.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Ranges of IPv4 that are nobody's public address: first address, length of the prefix, what it is.
const V4: [([u8; 4], u32, &str); 16] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "a private network"),
    ([100, 64, 0, 0], 10, "a carrier's network"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([169, 254, 0, 0], 16, "link-local, where clouds keep metadata"),
    ([172, 16, 0, 0], 12, "a private network"),
    ([192, 0, 0, 0], 24, "reserved for protocols"),
    ([192, 0, 2, 0], 24, "for documentation"),
    ([192, 88, 99, 0], 24, "a 6to4 relay"),
    ([192, 168, 0, 0], 16, "a private network"),
    ([198, 18, 0, 0], 15, "for benchmarks"),
    ([198, 51, 100, 0], 24, "for documentation"),
    ([203, 0, 113, 0], 24, "for documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
    ([168, 63, 129, 16], 32, "a cloud's own service"),
];

/// Of IPv6 only 2000::/3 is public; these lie within it.
const V6: [(u128, u32, &str); 5] = [
    (0x2001_0000 << 96, 23, "reserved for protocols (Teredo, ORCHID)"),
    (0x2001_0db8 << 96, 32, "for documentation"),
    (0x2002_0000 << 96, 16, "6to4, which carries an IPv4 address"),
    (0x3fff_0000 << 96, 20, "for documentation"),
    (0x2620_004f_8000 << 80, 48, "an AS112 sink"),
];

/// What an address is, when it is no public one.
fn range_of(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => range_of_v4(address),
        IpAddr::V6(address) => range_of_v6(address),
    }
}

fn range_of_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    let lies_in = |(first, prefix, _): &&([u8; 4], u32, &str)| {
        (bits ^ u32::from(Ipv4Addr::from(*first))).leading_zeros() >= *prefix
    };
    V4.iter().find(lies_in).map(|(.., name)| *name)
}

fn range_of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    if bits >> 125 != 1 {
        return Some("not within 2000::/3, the public part of IPv6");
    }
    V6.iter().find(|(first, prefix, _)| (bits ^ first).leading_zeros() >= *prefix).map(|(.., name)| *name)
}

#[cfg(test)]
mod tests;
