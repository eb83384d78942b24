//! The server: an accept loop of its own over hyper's HTTP/2, and a drain that leaves nobody guessing.

mod admin;
mod calls;
mod connection;
mod convert;
mod fetch;
mod greetings;
mod limits;
mod listen;
mod load;
mod passed_over;
mod produce;
mod router;
mod state;
mod status;
mod subscribe;
mod web;
mod workers;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime};

use footman_broker::{Broker, BrokerOptions, InvalidOptions};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

pub use limits::Limits;
pub use listen::{Address, InvalidAddress};

use calls::Calls;
use greetings::{Greeting, Greetings};
use listen::{Accepted, Listeners};
use router::Router;
use state::{Place, State};
use web::Origins;
use workers::Workers;

use crate::room::Room;
use crate::tls::ServerTls;

/// How a [`Server`] is set up.
///
/// ```
/// use footman_broker_grpc::ServerOptions;
///
/// let mut options = ServerOptions::default();
/// options.broker.auto_create = false;
/// options.limits.max_connections = 64;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The broker behind it: topics, memory, defaults of topics.
    pub broker: BrokerOptions,
    /// What peers can make the server hold.
    pub limits: Limits,
    /// Threads that serve connections, each connection on one of them; 0: as many as there are cores. Default 0.
    pub workers: usize,
    /// TLS on every TCP address. Default none: those who can reach the port can read and write every topic.
    pub tls: Option<ServerTls>,
    /// The pages that browsers may call from by gRPC-web, as origins (`https://example.org`), or `*` for all. What comes from
    /// any other is refused. Default none; programs that are no browsers do not say an origin, and need none.
    pub cors_origins: Vec<String>,
    /// How long calls under way have to end after shutdown begins; then their connections are cut. Default 10 s.
    pub drain_timeout: Duration,
    /// How often an idle subscription that does not say otherwise gets a heartbeat. Default 5 s.
    pub heartbeat: Duration,
    /// How long a response stream may wait for its peer to read. Then a subscription lets go of its records and, should the peer
    /// read again, ends with `STALLED` and the places to resume at; after twice as long the stream is reset. Default 10 s.
    pub write_stall_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            broker: BrokerOptions::default(),
            limits: Limits::default(),
            workers: 0,
            tls: None,
            cors_origins: Vec::new(),
            drain_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(5),
            write_stall_timeout: Duration::from_secs(10),
        }
    }
}

impl ServerOptions {
    /// Whether limits and times are within the ranges that a server can keep, as it also asks before it listens.
    ///
    /// ```
    /// use footman_broker_grpc::ServerOptions;
    ///
    /// let mut options = ServerOptions::default();
    /// options.limits.max_frame_bytes = 1;
    /// assert!(options.check().is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServeError::InvalidLimits`] names the first that is not.
    pub fn check(&self) -> Result<(), ServeError> {
        self.limits.check()?;
        if self.heartbeat.is_zero() || self.write_stall_timeout.is_zero() {
            return Err(ServeError::InvalidLimits("time-outs must be longer than 0"));
        }
        Ok(())
    }
}

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The broker's options are out of range.
    #[error("the broker's options are out of range")]
    InvalidOptions(#[from] InvalidOptions),
    /// A limit is out of range.
    #[error("the limits: {0}")]
    InvalidLimits(&'static str),
    /// The threads that serve connections cannot be started.
    #[error("cannot start threads")]
    Workers(#[source] io::Error),
    /// What is no origin of a page.
    #[error("{0:?} is no origin of a page: use https://HOST, or * for all")]
    InvalidOrigin(String),
    /// The descriptors built into the program are damaged: a bug.
    #[error("the descriptors for reflection cannot be read")]
    Descriptors,
}

/// A gRPC server around a broker, bound to its address.
///
/// It serves `footman.v1.Broker`, `footman.v1.Admin`, `grpc.health.v1.Health` and reflection: gRPC over HTTP/2 with prior
/// knowledge or agreed on by TLS, and gRPC-web over HTTP/1.1 and HTTP/2, all on the same port. Connections are taken from
/// [`bind`](Server::bind) on, and answered once [`serve`](Server::serve) runs. Dropping it closes its addresses.
#[derive(Debug)]
pub struct Server {
    listeners: Listeners,
    state: Arc<State>,
    workers: usize,
    tls: Option<ServerTls>,
    drain_timeout: Duration,
    write_stall_timeout: Duration,
}

impl Server {
    /// Makes a broker and listens on `addr`; port 0 takes a free one, see [`local_addr`](Server::local_addr).
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or an option or a limit is out of range.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn bind(
        addr: impl ToSocketAddrs + fmt::Debug,
        options: ServerOptions,
    ) -> Result<Server, ServeError> {
        let mut server = Server::new(options)?;
        let failed = |source| ServeError::Bind {
            address: format!("{addr:?}"),
            source,
        };
        let listener = TcpListener::bind(&addr).await.map_err(failed)?;
        server.listeners.add_tcp(listener).map_err(failed)?;
        Ok(server)
    }

    /// Makes a broker and listens on each of the addresses, TCP or Unix sockets.
    ///
    /// The file of a Unix socket that a server before this one left behind is replaced; one that is in use, or is no socket,
    /// is an error. It is removed when the server no longer listens.
    ///
    /// # Errors
    ///
    /// If one cannot be listened on or there is none, or an option or a limit is out of range.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn bind_all(
        addresses: &[Address],
        options: ServerOptions,
    ) -> Result<Server, ServeError> {
        if addresses.is_empty() {
            return Err(ServeError::InvalidLimits(
                "there must be an address to listen on",
            ));
        }
        let mut server = Server::new(options)?;
        for address in addresses {
            server.listeners.add(address).await?;
        }
        Ok(server)
    }

    fn new(options: ServerOptions) -> Result<Server, ServeError> {
        options.check()?;
        let limits = &options.limits;
        let unfinished = Room::new(limits.max_unfinished_bytes, limits.request_timeout);
        let state = Arc::new(State {
            broker: Broker::new(options.broker)?,
            calls: Calls::new(),
            greetings: Greetings::default(),
            unfinished,
            limits: options.limits,
            origins: Origins::new(options.cors_origins)?,
            heartbeat: options.heartbeat,
            started: SystemTime::now(),
            connections: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
        });
        Ok(Server {
            listeners: Listeners::default(),
            state,
            workers: options.workers,
            tls: options.tls,
            drain_timeout: options.drain_timeout,
            write_stall_timeout: options.write_stall_timeout,
        })
    }

    /// The first TCP address that it listens on, with its real port.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses().iter().find_map(Address::tcp)
    }

    /// The addresses that it listens on, with their real ports.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        self.listeners.addresses()
    }

    /// The broker behind it: what is appended here reaches remote subscribers, and the other way round.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.state.broker
    }

    /// Serves until `shutdown` resolves, then drains.
    ///
    /// Draining: no connection is taken and no record appended any more, health says `NOT_SERVING`, connections get GOAWAY, each
    /// subscription gets what was appended up to then if it reads, then `going_away` with the places to resume at
    /// and the status `UNAVAILABLE`. What has not ended after `drain_timeout` is cut.
    ///
    /// # Errors
    ///
    /// Only before serving; a server that serves goes on whatever its peers do.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let health = HealthReporter::new();
        let router = Router::new(&self.state, health.clone())?;
        let workers = Workers::start(self.workers).map_err(ServeError::Workers)?;
        for service in SERVICES {
            health
                .set_service_status(service, ServingStatus::Serving)
                .await;
        }
        let mut chores = JoinSet::new();
        let calls = Arc::clone(&self.state.calls);
        let stall = self.write_stall_timeout;
        chores.spawn(async move { calls.watch(stall).await });
        let broker = self.state.broker.clone();
        chores.spawn(async move { expire(&broker).await });

        let (drain, draining) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut refusals = Refusals::default();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listeners.accept() => match accepted {
                    Ok(socket) => {
                        let place = Place::connection(&self.state).or_else(|| {
                            refusals.one(self.state.limits.max_connections);
                            self.state.greetings.give_away()
                        });
                        if let Some(place) = place {
                            self.take((socket, place), &router, &draining, (&workers, &mut connections));
                        }
                    }
                    Err(error) => {
                        // Out of descriptors, say: the peers that are there go on, the next may find room.
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }

        drop(self.listeners);
        for service in SERVICES {
            health
                .set_service_status(service, ServingStatus::NotServing)
                .await;
        }
        self.state.calls.drain();
        drain.send_replace(true);
        let calm = async {
            self.state.calls.drained().await;
            for service in SERVICES {
                // Ends those who watch it.
                health.clone().clear_service_status(service).await;
            }
            // Every call has ended: what is left is the rest of their bytes, and peers that do not say goodbye.
            let goodbye = async { while connections.join_next().await.is_some() {} };
            if timeout(GOODBYE, goodbye).await.is_err() {
                tracing::debug!("connections were still open after their calls had ended: cut");
            }
        };
        if timeout(self.drain_timeout, calm).await.is_err() {
            tracing::warn!("calls were still under way when the drain's time was up: cut");
        }
        connections.shutdown().await;
        workers.stop().await;
        Ok(())
    }

    fn take(
        &self,
        (socket, place): (Accepted, Place),
        router: &Router,
        draining: &watch::Receiver<bool>,
        (workers, connections): (&Workers, &mut JoinSet<()>),
    ) {
        let connection = connection::serve(
            socket,
            self.tls.clone(),
            Arc::clone(&self.state),
            router.clone(),
            draining.clone(),
            Greeting::begin(&self.state, place),
        );
        workers.deal(connections, connection);
    }
}

/// The names that health knows; the empty one is the server as a whole.
const SERVICES: [&str; 3] = ["", "footman.v1.Broker", "footman.v1.Admin"];

/// How long to wait after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// How long connections without calls have to close after GOAWAY.
const GOODBYE: Duration = Duration::from_secs(2);

/// Connections refused. Said now and then: peers can bring it about as often as they like, and must not fill the log.
#[derive(Debug, Default)]
struct Refusals {
    untold: u64,
    told: Option<Instant>,
}

impl Refusals {
    fn one(&mut self, max: usize) {
        self.untold += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::warn!(
                max,
                closed = self.untold,
                "too many connections: one is closed for each that comes"
            );
            *self = Refusals {
                untold: 0,
                told: Some(Instant::now()),
            };
        }
    }
}

/// How often the log hears of connections closed for want of a place.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Lets records past their age go, also in topics that nobody touches.
async fn expire(broker: &Broker) {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        broker.expire();
    }
}
