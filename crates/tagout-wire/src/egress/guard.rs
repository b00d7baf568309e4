//! Where a connection may go: names are resolved once, every address is looked at, and what was
//! looked at is what is dialled.
use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{
    address::{Class, Standing},
    allow::{Allow, Permit},
    host::{Host, HostError},
};

/// What looking up a name gives.
pub type Looked<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Knows the addresses of names.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Looked<'a>;
}

/// Looks at where connections go. Cheap to clone; clones share what they have resolved.
///
/// A name may lead to public addresses only, all of them; one that is not makes it unusable. What a
/// name leads to is kept for up to five minutes, so that it cannot lead elsewhere between the look
/// and the connection, nor from one connection to the next.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolve>,
    /// Names may lead into networks of one's own.
    private: bool,
    /// For tests: names may lead to this machine, and to other ports than they say.
    stand_in: Option<BTreeMap<u16, u16>>,
    pins: Mutex<HashMap<String, Pinned>>,
}

/// What a name leads to.
#[derive(Clone)]
struct Pinned {
    addresses: Vec<IpAddr>,
    until: Instant,
}

/// Why a connection is not made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Denied {
    /// It is no host.
    #[error("`{host}` is no host: {problem}")]
    Host {
        /// As it was written.
        host: String,
        /// What is wrong.
        problem: HostError,
    },
    /// It is not on the list.
    #[error("`{host}:{port}` is not on the list of what may be reached")]
    NotListed {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// It leads where nobody is let.
    #[error("`{host}` leads to a {} address", class.as_str())]
    Address {
        /// The host.
        host: String,
        /// What its address is for.
        class: Class,
    },
    /// The name is not known.
    #[error("the name `{host}` cannot be resolved: {problem}")]
    Unknown {
        /// The host.
        host: String,
        /// What the system says.
        problem: String,
    },
    /// Looking up the name took too long.
    #[error("looking up `{host}` took too long")]
    Slow {
        /// The host.
        host: String,
    },
}

/// How long a name leads where it led.
const PINNED: Duration = Duration::from_secs(300);
/// Names that are kept.
const MOST_PINS: usize = 512;
/// For a name to be looked up.
const LOOK_UP: Duration =
    if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(5) };
/// Addresses of one name that are dialled.
const MOST_ADDRESSES: usize = 8;
/// Names that are looked up at once, by the whole process: each holds a thread, also when nobody
/// waits for it any more.
static LOOK_UPS: Semaphore = Semaphore::const_new(32);
/// Of these, by one guard, so that no server takes them all.
const LOOK_UPS_OF_ONE: usize = 8;

impl Guard {
    /// Asks the system for names, and lets them lead to public addresses.
    #[must_use]
    pub fn new() -> Self {
        Self::resolving(Arc::new(System(Arc::new(Semaphore::new(LOOK_UPS_OF_ONE)))))
    }

    /// The same with another who knows names.
    #[must_use]
    pub fn resolving(resolver: Arc<dyn Resolve>) -> Self {
        Self::of(resolver, false, None)
    }

    /// Lets names lead into private networks and to this machine as well; never to metadata
    /// services, link-local, mapped or translated addresses.
    #[must_use]
    pub fn allowing_private(self) -> Self {
        Self::of(self.0.resolver.clone(), true, self.0.stand_in.clone())
    }

    pub(super) fn of(
        resolver: Arc<dyn Resolve>,
        private: bool,
        stand_in: Option<BTreeMap<u16, u16>>,
    ) -> Self {
        Self(Arc::new(Inner { resolver, private, stand_in, pins: Mutex::default() }))
    }

    /// Where a connection to `host` goes that somebody else asks for, by the list of what that one
    /// may reach. What is not on the list is not looked up.
    ///
    /// # Errors
    /// By variant, see [`Denied`].
    pub async fn listed(
        &self,
        host: &Host,
        port: u16,
        allow: &Allow,
    ) -> Result<Vec<SocketAddr>, Denied> {
        let permit = allow.permits(host, port);
        let permit = permit.ok_or_else(|| Denied::NotListed { host: host.to_string(), port })?;
        self.checked(host, port, permit).await
    }

    /// Where a connection of one's own goes, whose host the operator has written: an address, and
    /// `localhost`, are meant.
    ///
    /// # Errors
    /// By variant, see [`Denied`].
    pub async fn own(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Denied> {
        let odd = |problem| Denied::Host { host: host.chars().take(300).collect(), problem };
        let host = Host::parse(host).map_err(odd)?;
        let meant = matches!(host, Host::Address(_)) || host.is_localhost();
        let permit = if meant { Permit::Named } else { Permit::Public };
        self.checked(&host, port, permit).await
    }

    /// Forgets what a name leads to: nobody answered there.
    pub fn forget(&self, host: &str) {
        self.pins().remove(&host.to_ascii_lowercase());
    }

    async fn checked(
        &self,
        host: &Host,
        port: u16,
        permit: Permit,
    ) -> Result<Vec<SocketAddr>, Denied> {
        let addresses = match host {
            Host::Address(address) => {
                let fits = match Class::of(*address).standing() {
                    Standing::Open => true,
                    Standing::Named => permit == Permit::Named,
                    // The system takes it for this machine, and so does the operator whose own URL
                    // says so; no list can.
                    Standing::Never => permit == Permit::Named && address.is_unspecified(),
                };
                vec![self.fitting(host, *address, fits)?]
            }
            Host::Name(name) => self.pinned(host, name, permit).await?,
        };
        let elsewhere = self.0.stand_in.as_ref().and_then(|ports| ports.get(&port)).copied();
        let port = elsewhere.unwrap_or(port);
        let addresses = addresses.into_iter().take(MOST_ADDRESSES);
        Ok(addresses.map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn pinned(&self, host: &Host, name: &str, permit: Permit) -> Result<Vec<IpAddr>, Denied> {
        let now = Instant::now();
        if let Some(pinned) = self.pins().get(name).filter(|pinned| pinned.until > now) {
            return Ok(pinned.addresses.clone());
        }
        let found = timeout(LOOK_UP, self.0.resolver.resolve(name)).await;
        let found = found.map_err(|_| Denied::Slow { host: name.to_owned() })?;
        let unknown = |problem: String| Denied::Unknown { host: name.to_owned(), problem };
        let found = found.map_err(|error| unknown(error.to_string()))?;
        if found.is_empty() {
            return Err(unknown("it has no address".to_owned()));
        }
        for address in &found {
            self.fitting(host, *address, self.name_fits(host, *address, permit))?;
        }
        let until = Instant::now() + PINNED;
        self.pin(name, Pinned { addresses: found.clone(), until });
        Ok(found)
    }

    /// Whether a name may lead to `address`.
    fn name_fits(&self, host: &Host, address: IpAddr, permit: Permit) -> bool {
        let class = Class::of(address);
        let here = class == Class::Loopback;
        if host.is_localhost() {
            return here && (permit == Permit::Named || self.0.private);
        }
        match class.standing() {
            Standing::Open => true,
            Standing::Named => self.0.private || (here && self.0.stand_in.is_some()),
            Standing::Never => false,
        }
    }

    fn fitting(&self, host: &Host, address: IpAddr, fits: bool) -> Result<IpAddr, Denied> {
        let class = Class::of(address);
        if fits { Ok(address) } else { Err(Denied::Address { host: host.to_string(), class }) }
    }

    fn pin(&self, name: &str, pinned: Pinned) {
        let mut pins = self.pins();
        if pins.len() >= MOST_PINS {
            let now = Instant::now();
            pins.retain(|_, pinned| pinned.until > now);
        }
        if pins.len() >= MOST_PINS {
            let oldest = pins.iter().min_by_key(|(_, pinned)| pinned.until);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| pins.remove(&name));
        }
        pins.insert(name.to_owned(), pinned);
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<String, Pinned>> {
        // The guarded sections do not panic.
        self.0.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { resolver, private, .. } = self.0.as_ref();
        f.debug_struct("Guard").field("resolver", resolver).field("private", private).finish()
    }
}

/// The system's own way.
#[derive(Debug)]
struct System(Arc<Semaphore>);

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Looked<'a> {
        Box::pin(async move {
            let own = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
            let permit = (own, LOOK_UPS.acquire().await.map_err(io::Error::other)?);
            let name = name.to_owned();
            let looking = spawn_blocking(move || {
                // Held for as long as the thread is, whoever waits for it.
                let _held = permit;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            looking.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Public first, then this machine.
    #[derive(Debug, Default)]
    struct Turning(Mutex<usize>);

    impl Resolve for Turning {
        fn resolve<'a>(&'a self, name: &'a str) -> Looked<'a> {
            let mut asked = self.0.lock().unwrap();
            *asked += 1;
            let address: IpAddr = if *asked == 1 { [1, 1, 1, 1] } else { [127, 0, 0, 1] }.into();
            let never = name == "never.example";
            Box::pin(async move {
                if never {
                    std::future::pending::<()>().await;
                }
                Ok(vec![address])
            })
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_name_leads_where_it_led() {
        let names = Arc::new(Turning::default());
        let guard = Guard::resolving(names.clone());
        let own = || runtime().block_on(guard.clone().own("turns.example", 80));
        let first = own().unwrap();
        for _ in 0..10 {
            assert_eq!(own().as_ref(), Ok(&first));
        }
        assert_eq!(*names.0.lock().unwrap(), 1);
        guard.pins().get_mut("turns.example").unwrap().until = Instant::now();
        for asked in [2, 3] {
            let class = Class::Loopback;
            assert_eq!(own(), Err(Denied::Address { host: "turns.example".to_owned(), class }));
            assert_eq!(*names.0.lock().unwrap(), asked, "what was refused is not kept");
        }
    }

    #[test]
    fn only_so_many_names_are_kept() {
        let guard = Guard::new();
        for n in 0..MOST_PINS + 10 {
            let pinned = Pinned { addresses: Vec::new(), until: Instant::now() + PINNED };
            guard.pin(&n.to_string(), pinned);
        }
        let pins = guard.pins();
        assert!(pins.len() == MOST_PINS && !pins.contains_key("0"));
    }

    #[test]
    fn a_name_is_not_waited_for_for_ever() {
        let guard = Guard::resolving(Arc::new(Turning::default()));
        let denied = runtime().block_on(guard.own("never.example", 80));
        assert_eq!(denied, Err(Denied::Slow { host: "never.example".to_owned() }));
    }
}
