//! Where a server listens: addresses, and the sockets behind them.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::server::ServeError;
use crate::socket::Socket;

/// What the address of a Unix socket starts with.
const UNIX: &str = "unix:";

/// Where a server listens: `IP:PORT`, or `unix:PATH` for a Unix socket.
///
/// ```
/// use footman_broker_grpc::Address;
///
/// let address: Address = "unix:/run/footman.sock".parse()?;
/// assert_eq!(address.to_string(), "unix:/run/footman.sock");
/// assert!("127.0.0.1:7420".parse::<Address>()?.tcp().is_some());
/// # Ok::<(), footman_broker_grpc::InvalidAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// TCP. Port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket, on systems that have them. Who may connect is decided by the permissions of its folder and of the
    /// file, which the process's umask gives it; TLS is not spoken there.
    Unix(PathBuf),
}

impl Address {
    /// The address, if it is TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(addr) => Some(*addr),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(addr) => addr.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// What was given is not where a server can listen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no address to listen on: use IP:PORT or unix:PATH")]
pub struct InvalidAddress {
    /// As it was given.
    pub given: String,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Address, InvalidAddress> {
        let invalid = || InvalidAddress {
            given: text.to_owned(),
        };
        match text.strip_prefix(UNIX) {
            Some("") => Err(invalid()),
            Some(path) => Ok(Address::Unix(path.into())),
            None => text.parse().map(Address::Tcp).map_err(|_| invalid()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Address {
        Address::Tcp(addr)
    }
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "held until dropped")] SocketFile,
    ),
}

impl Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Listener::Tcp(listener) => listener
                .poll_accept(cx)
                .map(|accepted| accepted?.0.into_std().map(Accepted::Tcp)),
            #[cfg(unix)]
            Listener::Unix(listener, _) => listener
                .poll_accept(cx)
                .map(|accepted| accepted?.0.into_std().map(Accepted::Unix)),
        }
    }
}

/// A connection on its way from the runtime that accepts to the one that serves.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// The connection as a part of the runtime that this is called in.
    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        match self {
            Accepted::Tcp(socket) => TcpStream::from_std(socket).map(Socket::Tcp),
            #[cfg(unix)]
            Accepted::Unix(socket) => UnixStream::from_std(socket).map(Socket::Unix),
        }
    }
}

/// All the places where a server listens; closed when dropped.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    addresses: Vec<Address>,
    /// Whose turn it is to be asked first.
    turn: usize,
}

impl Listeners {
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    pub(crate) async fn add(&mut self, address: &Address) -> Result<(), ServeError> {
        let failed = |source| ServeError::Bind {
            address: address.to_string(),
            source,
        };
        match address {
            Address::Tcp(addr) => {
                let listener = TcpListener::bind(addr).await.map_err(failed)?;
                self.add_tcp(listener).map_err(failed)
            }
            Address::Unix(path) => self.add_unix(path).await.map_err(failed),
        }
    }

    pub(crate) fn add_tcp(&mut self, listener: TcpListener) -> io::Result<()> {
        self.addresses.push(Address::Tcp(listener.local_addr()?));
        self.listeners.push(Listener::Tcp(listener));
        Ok(())
    }

    #[cfg(unix)]
    async fn add_unix(&mut self, path: &Path) -> io::Result<()> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path).await => {
                tracing::info!(path = %path.display(), "removed a socket that nobody listens on");
                std::fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        let file = SocketFile::of(path)?;
        self.addresses.push(Address::Unix(path.to_owned()));
        self.listeners.push(Listener::Unix(listener, file));
        Ok(())
    }

    #[cfg(not(unix))]
    async fn add_unix(&mut self, _path: &Path) -> io::Result<()> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no Unix sockets",
        ))
    }

    /// The next connection, from any of them, each in its turn.
    pub(crate) async fn accept(&mut self) -> io::Result<Accepted> {
        let (listeners, turn) = (&self.listeners, self.turn);
        let count = listeners.len();
        let (at, accepted) = poll_fn(|cx| {
            for (at, listener) in listeners.iter().enumerate().cycle().skip(turn).take(count) {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready((at, accepted));
                }
            }
            Poll::Pending
        })
        .await;
        self.turn = (at + 1) % count;
        accepted
    }
}

/// Whether there is a socket that nobody listens on: a server before this one was killed.
#[cfg(unix)]
async fn is_stale(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refused)
}

/// The file of a Unix socket, removed when dropped if it is still the one that was made.
#[cfg(unix)]
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile {
            path: path.to_owned(),
            identity: SocketFile::identity(path)?,
        })
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::symlink_metadata(path)?;
        Ok((found.dev(), found.ino()))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if SocketFile::identity(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}
