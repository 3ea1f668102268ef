//! The statements of the delivery engine; each takes a whole batch.

mod again;
mod claim;
mod intake;
mod record;
mod watch;

pub use again::*;
pub use claim::*;
pub use intake::*;
pub use record::*;
pub use watch::*;
