-- One row: the version of everything the policy snapshot holds. Whoever changes any of it bumps this row
-- first, so that such changes happen one after the other.
CREATE TABLE policy_state (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO policy_state (id, version) VALUES (1, 1);

-- registered = false: an operator took the name out; a start does not put it back.
CREATE TABLE permission (
    name TEXT NOT NULL PRIMARY KEY,
    registered BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

-- builtin: the role that gets every new permission at a start.
CREATE TABLE role (
    id {{identity}},
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    remark TEXT NOT NULL,
    builtin BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE role_permission (
    role_id BIGINT NOT NULL REFERENCES role (id) ON DELETE CASCADE,
    permission TEXT NOT NULL REFERENCES permission (name),
    PRIMARY KEY (role_id, permission)
);
CREATE INDEX role_permission_permission ON role_permission (permission);

-- kind: 'account' (an operator) or 'partner' (a partner's login).
CREATE TABLE account (
    id {{identity}},
    account TEXT NOT NULL,
    account_key TEXT NOT NULL UNIQUE,
    nickname TEXT NOT NULL,
    kind TEXT NOT NULL,
    partner_id BIGINT NOT NULL,
    password_hash TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    tokens_valid_from BIGINT NOT NULL,
    last_token_iat BIGINT NOT NULL,
    last_login_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX account_one_login_per_partner ON account (partner_id) WHERE partner_id <> 0;

CREATE TABLE account_role (
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role_id BIGINT NOT NULL REFERENCES role (id),
    PRIMARY KEY (account_id, role_id)
);
CREATE INDEX account_role_role_id ON account_role (role_id);

CREATE TABLE revoked_token (
    jti TEXT NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL,
    exp BIGINT NOT NULL
);
CREATE INDEX revoked_token_exp ON revoked_token (exp);

-- name_key is NULL once the row is deleted, so that the name can be used again.
CREATE TABLE partner (
    id {{identity}},
    name TEXT NOT NULL,
    name_key TEXT UNIQUE,
    enabled BOOLEAN NOT NULL,
    privacy TEXT NOT NULL,
    goods_ids TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL
);

CREATE TABLE distributor (
    id {{identity}},
    partner_id BIGINT NOT NULL REFERENCES partner (id),
    name TEXT NOT NULL,
    name_key TEXT,
    enabled BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL,
    UNIQUE (partner_id, name_key)
);

CREATE TABLE supplier (
    id {{identity}},
    name TEXT NOT NULL,
    name_key TEXT UNIQUE,
    contact TEXT NOT NULL,
    remark TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL
);

-- Keys of partners and suppliers in one table: their ids must not meet in key.changed.
CREATE TABLE api_key (
    id {{identity}},
    owner_kind TEXT NOT NULL,
    owner_id BIGINT NOT NULL,
    root_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    key_sha256 TEXT NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL,
    goods_ids TEXT NOT NULL,
    sign_required BOOLEAN NOT NULL,
    sign_method TEXT NOT NULL,
    quota_per_second BIGINT NOT NULL,
    quota_per_day BIGINT NOT NULL,
    apiuser TEXT NOT NULL,
    apipwd_md5_sealed TEXT NOT NULL,
    ip_allow TEXT NOT NULL,
    sk_sealed TEXT NOT NULL,
    last_used_at BIGINT NOT NULL,
    last_md5_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX api_key_owner ON api_key (owner_kind, owner_id, id);

CREATE TABLE audit_entry (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BIGINT NOT NULL,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    target_id TEXT NOT NULL,
    before_json TEXT NOT NULL,
    after_json TEXT NOT NULL,
    request_id TEXT NOT NULL,
    ip TEXT NOT NULL
);
-- Each ends in the order of the list, so that a page is one range.
CREATE INDEX audit_entry_at ON audit_entry (at, id);
CREATE INDEX audit_entry_target ON audit_entry (target, at, id);
CREATE INDEX audit_entry_target_id ON audit_entry (target, target_id, at, id);
CREATE INDEX audit_entry_request ON audit_entry (request_id, at, id);
CREATE INDEX audit_entry_actor ON audit_entry (actor_kind, actor_id, at, id);
CREATE INDEX audit_entry_action ON audit_entry (action, at, id);
