//! Where sealed values stand in this service's tables.

use contracts::events::sealed;
use platform::rewrap::Column;

/// What `rotate-keys` moves under the present envelope key. Other services keep copies and move those themselves.
pub const SEALED: &[Column] = &[
    Column {
        table: "api_key",
        name: "sk_sealed",
        of: "key_sha256",
        context: |sha256| sealed::key_sk(sha256),
    },
    Column {
        table: "api_key",
        name: "apipwd_md5_sealed",
        of: "key_sha256",
        context: |sha256| sealed::key_apipwd(sha256),
    },
];
