//! Whether what is at the other end of a connection is the server that was started. Whoever takes
//! its port when it has ended would be shown key and conversation.
use std::{net::SocketAddr, time::Duration};

use tagout_sandbox::Child;
use tagout_wire::http::{Ends, Vet, Vetted};

use super::{
    table::{Other, Table},
    tree::Tree,
};

/// How often a connection is looked at again.
const ROUND: Duration = Duration::from_millis(10);
/// How often somebody else may seem to be there: a socket has an inode a moment before it has an
/// owner.
const DOUBTS: usize = 20;

/// Looks at every connection to a server that was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doorkeeper {
    /// Nothing if the server had ended before it could be looked at.
    tree: Option<Tree>,
}

/// Who is at the other end.
enum Who {
    Server,
    /// The system, until somebody takes the connection.
    NobodyYet,
    SomebodyElse,
}

impl Doorkeeper {
    /// One for the server that is `child`, right after its start.
    pub(super) fn of(child: &Child) -> Self {
        Self { tree: Tree::of(child) }
    }

    /// Whether the server listens on `port`.
    pub(super) fn listens(&self, port: u16) -> bool {
        self.tree.is_some_and(|tree| tree.holds(&Table::now().listening(port)))
    }

    fn look(&self, ends: Ends) -> Who {
        let (Some(tree), SocketAddr::V4(own), SocketAddr::V4(peer)) =
            (self.tree, ends.own, ends.peer)
        else {
            return Who::SomebodyElse;
        };
        let table = Table::now();
        match table.other_end(own, peer) {
            Other::Socket(inode) if tree.holds(&[inode].into()) => Who::Server,
            // It will not be the server that takes it.
            Other::NobodyYet if !tree.holds(&table.listening(peer.port())) => Who::SomebodyElse,
            Other::NobodyYet => Who::NobodyYet,
            Other::Socket(_) | Other::Nothing => Who::SomebodyElse,
        }
    }

    /// Cancel safe.
    async fn vetted(self, ends: Ends) -> Result<(), String> {
        let mut doubts = 0;
        while doubts < DOUBTS {
            // It reads what the system says of every process.
            let look = tokio::task::spawn_blocking(move || self.look(ends));
            match look.await {
                Ok(Who::Server) => return Ok(()),
                Ok(Who::NobodyYet) => doubts = 0,
                Ok(Who::SomebodyElse) | Err(_) => doubts += 1,
            }
            tokio::time::sleep(ROUND).await;
        }
        Err("it is no process of the llama-server that was started; nothing was sent".to_owned())
    }
}

impl Vet for Doorkeeper {
    fn vet(&self, ends: Ends) -> Vetted<'_> {
        Box::pin(self.vetted(ends))
    }
}
