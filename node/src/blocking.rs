//! Work that may block, off the threads that serve.

/// Starts `work` on a thread that may block, at once, and waits for what it gives. A panic in it goes on here.
///
/// A runtime that ends leaves out work that has not begun. Whoever waits for that ends with the runtime, too, and so
/// waits here until then: a node that stops must not panic on its way.
pub(crate) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let task = tokio::task::spawn_blocking(work);
    async move {
        match task.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    #[test]
    fn work_that_a_runtime_leaves_out_at_its_end_is_no_panic() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let _entered = handle.enter();
        runtime.shutdown_background();
        assert_eq!(super::run(|| 1).now_or_never(), None);
    }

    #[tokio::test]
    async fn a_panic_in_the_work_goes_on() {
        assert_eq!(super::run(|| 1).await, 1);
        let panicked = tokio::spawn(super::run(|| panic!("inside"))).await;
        assert!(panicked.unwrap_err().is_panic());
    }
}
