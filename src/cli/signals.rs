//! The signals that end a server, or have it look at its files.

use std::convert::Infallible;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::Error;

/// Listens for SIGTERM and Ctrl-C.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Listens for SIGHUP.
pub(super) struct Hangups(Signal);

impl Hangups {
    /// Begins to listen; from here on, the signal does not end the process.
    pub(super) fn listen() -> Result<Self, Error> {
        Ok(Self(signal(SignalKind::hangup()).map_err(Error::Runtime)?))
    }

    /// Does something at each signal, for ever.
    pub(super) async fn each(mut self, act: impl Fn()) -> Infallible {
        loop {
            match self.0.recv().await {
                Some(()) => act(),
                None => std::future::pending().await,
            }
        }
    }
}

impl Signals {
    /// Begins to listen; from here on, the signals do not end the process by themselves.
    pub(super) fn listen() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::Runtime)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Runtime)?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs a server that takes a shutdown until its end. The first signal shuts it down; a second
/// one ends the waiting for it.
pub(super) async fn run_until_signal<F: Future>(
    serve: impl FnOnce(tokio::sync::oneshot::Receiver<()>) -> F,
) -> Result<Option<F::Output>, Error> {
    let mut signals = Signals::listen()?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let signalled = async move {
        signals.next().await;
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        output = serve(stopped) => Ok(Some(output)),
        () = signalled => Ok(None),
    }
}
