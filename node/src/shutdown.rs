//! When to stop.

use tokio::signal::unix::{SignalKind, signal as listen};
use tokio::sync::watch;

/// Completes on SIGINT or SIGTERM.
pub async fn signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()))
    else {
        // Without handlers the default action of the signals ends the process, which is as good.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Completes when the node stops.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the node is gone, which is as good a reason.
    let _ = stopping.wait_for(|stop| *stop).await;
}
