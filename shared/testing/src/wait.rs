use std::{future::Future, panic::Location, time::Duration};

/// How long a test waits for something that should take milliseconds, on a machine as slow as it may be.
pub const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// What a check may answer: `bool`, or `Option` to carry out what was waited for.
pub trait Condition {
    type Value;
    fn met(self) -> Option<Self::Value>;
}

impl Condition for bool {
    type Value = ();
    fn met(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Condition for Option<T> {
    type Value = T;
    fn met(self) -> Option<T> {
        self
    }
}

/// Asks `check` every 5 ms until it says yes.
///
/// # Panics
/// With `what` and the caller's line, after [`PATIENCE`].
#[track_caller]
pub fn wait_until<C, F>(what: &str, check: F) -> impl Future<Output = C::Value> + use<C, F>
where
    C: Condition,
    F: AsyncFnMut() -> C,
{
    wait_at_most(PATIENCE, what, check)
}

/// The same with a patience of the caller's own, for what has to outwait a lease.
#[track_caller]
pub fn wait_at_most<C, F>(
    patience: Duration,
    what: &str,
    mut check: F,
) -> impl Future<Output = C::Value> + use<C, F>
where
    C: Condition,
    F: AsyncFnMut() -> C,
{
    let (caller, what) = (Location::caller(), what.to_owned());
    async move {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(value) = check().await.met() {
                return value;
            }
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "waited {patience:?} in vain at {caller}: {what}");
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_waited_for_is_carried_out() {
        let mut asked = 0;
        let got = wait_until("the third time", async || {
            asked += 1;
            (asked == 3).then_some(asked * 10)
        })
        .await;
        assert_eq!((asked, got), (3, 30));
    }

    #[tokio::test]
    #[should_panic(expected = "wait.rs")]
    async fn waiting_in_vain_names_the_place() {
        wait_at_most(Duration::from_millis(20), "nothing", async || false).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the moon")]
    async fn waiting_in_vain_names_what_was_waited_for() {
        wait_at_most(Duration::from_millis(20), "the moon", async || None::<()>).await;
    }
}
