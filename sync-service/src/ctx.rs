use platform::Platform;

use crate::{delivery::engine::Engine, partner_sync::access::Access};

/// What this service's handlers and consumers are given. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub platform: Platform,
    pub engine: Engine,
    pub(crate) access: Access,
}
