//! Where sealed values stand in this service's tables.

use contracts::events::sealed;
use platform::rewrap::Column;

use crate::{delivery::house_key, subscriptions::service as subscriptions};

/// What `rotate-keys` moves under the present envelope key.
pub const SEALED: &[Column] = &[
    of_subscription("secret", subscriptions::secret_context),
    of_subscription("old_secret", subscriptions::secret_context),
    of_subscription("api_token", subscriptions::token_context),
    of_subscription("old_api_token", subscriptions::token_context),
    Column {
        table: "partner",
        name: "login_hash",
        of: "CAST(id AS TEXT)",
        context: |id| sealed::partner_login(id.parse().unwrap_or(0)),
    },
    Column { table: "partner_key", name: "sk", of: "key_sha256", context: |sha256| sealed::key_sk(sha256) },
    Column {
        table: "partner_key",
        name: "apipwd_md5",
        of: "key_sha256",
        context: |sha256| sealed::key_apipwd(sha256),
    },
    Column {
        table: "signing_key",
        name: "private_key",
        of: "CAST(id AS TEXT)",
        context: |_| house_key::CONTEXT.into(),
    },
];

const fn of_subscription(name: &'static str, context: fn(&str) -> String) -> Column {
    Column { table: "subscription", name, of: "CAST(id AS TEXT)", context }
}
