//! The orders of the threads that a model explores.

/// Every order with up to this many switches away from a thread that could go on, and
/// `MEMOMAN_PREEMPTIONS` more.
pub(crate) fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let more = std::env::var("MEMOMAN_PREEMPTIONS").map_or(0, |more| more.parse().unwrap());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.map(|bound| bound + more);
    builder.check(model);
}
