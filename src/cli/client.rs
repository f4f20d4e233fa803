//! What every client command needs: a connection, a deadline, and errors that say what happened.

use std::{error::Error as StdError, iter, time::Duration};

use tokio::time::{self, Instant};
use tonic::{
    Status, TimeoutExpired,
    transport::{Channel, ClientTlsConfig},
};

use super::{address::Address, error::Error};

/// How often the server is asked whether it is still there, while a call is open.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// One server, and the time there is for all of a call, the connecting included.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: Address,
    tls: Option<ClientTlsConfig>,
    after: Duration,
    deadline: Instant,
}

impl Peer {
    /// The clock starts here. `tls` is for an address that has it.
    pub(crate) fn new(address: Address, tls: Option<ClientTlsConfig>, after: Duration) -> Self {
        let deadline = Instant::now() + after;
        Self { address, tls, after, deadline }
    }

    /// The time that is left, for `Request::set_timeout`.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Connects. Has no limit of its own, see [`Peer::in_time`].
    pub(crate) async fn connect(&self) -> Result<Channel, Error> {
        let endpoint = match &self.tls {
            Some(tls) => self.address.endpoint().tls_config(tls.clone()),
            None => Ok(self.address.endpoint()),
        };
        let endpoint = endpoint.map_err(|error| self.unreachable(&error))?;
        // Only so can a watch know that the other side has gone without a word.
        let endpoint = endpoint
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let connected = endpoint.connect().await;
        connected.map_err(|error| self.unreachable(&error))
    }

    /// Gives up on the work when the deadline passes.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        time::timeout_at(self.deadline, work).await.unwrap_or_else(|_| Err(self.timed_out()))
    }

    /// Tells the peer's own errors from those tonic makes of a broken connection.
    pub(crate) fn error(&self, status: Status) -> Error {
        let Some(local) = status.source() else {
            return Error::Rpc(status);
        };
        if chain(local).any(<dyn StdError>::is::<TimeoutExpired>) {
            self.timed_out()
        } else {
            self.unreachable(local)
        }
    }

    /// The error of a wait that took too long.
    pub(crate) fn timed_out(&self) -> Error {
        Error::TimedOut { address: self.address.clone(), after: self.after }
    }

    fn unreachable(&self, error: &(dyn StdError + 'static)) -> Error {
        // The outer errors only say "transport error"; the innermost one knows.
        let cause = chain(error).last().map_or_else(String::new, ToString::to_string);
        Error::Unreachable { address: self.address.clone(), cause }
    }
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}
