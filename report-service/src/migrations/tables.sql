CREATE TABLE report (
    id {{identity}},
    version BIGINT NOT NULL,
    title TEXT NOT NULL,
    cover TEXT NOT NULL,
    type_id BIGINT NOT NULL,
    intro TEXT NOT NULL,
    directory TEXT NOT NULL,
    short_intro TEXT NOT NULL,
    file_name TEXT NOT NULL,
    file_src TEXT NOT NULL,
    file_format TEXT NOT NULL,
    file_size BIGINT NOT NULL,
    file_base TEXT NOT NULL,
    file_full TEXT NOT NULL,
    price_fen BIGINT NOT NULL,
    read_count BIGINT NOT NULL,
    status SMALLINT NOT NULL,
    publish_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    subscribe_count BIGINT NOT NULL,
    copied_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL
);
-- What the publisher looks for; nearly always empty.
CREATE INDEX report_due_at ON report (due_at) WHERE due_at > 0;
CREATE INDEX report_publish_at ON report (publish_at);
CREATE INDEX report_file_base ON report (file_base);
CREATE INDEX report_file_full ON report (file_full);

CREATE TABLE white_list_entry (
    id BIGINT NOT NULL,
    report_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    given_user TEXT NOT NULL,
    given_position TEXT NOT NULL,
    given_company TEXT NOT NULL,
    mobile {{bytes}} NOT NULL,
    read_count BIGINT NOT NULL,
    residue_count BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    author TEXT NOT NULL,
    import_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Pages of one report, in order of id. Imports write this table a hundred thousand rows at a time: no index
    -- more than these two.
    PRIMARY KEY (report_id, id)
);
-- Readings and repeats: one person in one report.
CREATE INDEX white_list_entry_person ON white_list_entry (report_id, mobile);

CREATE TABLE white_list_import (
    id BIGINT NOT NULL PRIMARY KEY,
    report_id BIGINT NOT NULL,
    author TEXT NOT NULL,
    file_name TEXT NOT NULL,
    header TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'undone')),
    reason TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    success_count BIGINT NOT NULL,
    repeat_count BIGINT NOT NULL,
    error_count BIGINT NOT NULL,
    -- The entries it made lie between these ids; 0 = none yet.
    first_id BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    -- The report had no entry when this import wrote its first.
    into_empty BOOLEAN NOT NULL,
    -- Its entries from this id on are not told to others yet; 0 = all are.
    untold_from BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL
);
CREATE INDEX white_list_import_report ON white_list_import (report_id, id);
CREATE INDEX white_list_import_running ON white_list_import (id) WHERE state = 'running';
CREATE INDEX white_list_import_untold ON white_list_import (id) WHERE untold_from > 0;

-- Judged rows of a large import that wait for their turn.
CREATE TABLE white_list_import_batch (
    import_id BIGINT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (import_id, seq)
);

-- Rows that were refused, for the workbook that goes back.
CREATE TABLE white_list_import_error (
    import_id BIGINT NOT NULL,
    row_no BIGINT NOT NULL,
    reason TEXT NOT NULL,
    cells TEXT NOT NULL,
    PRIMARY KEY (import_id, row_no)
);

-- Customers as order-service tells them.
CREATE TABLE customer (
    id BIGINT NOT NULL PRIMARY KEY,
    -- 0 while an order's copy is all that is known.
    version BIGINT NOT NULL,
    nick_name TEXT NOT NULL,
    avatar TEXT NOT NULL,
    mobile {{bytes}} NOT NULL,
    regist_at BIGINT NOT NULL,
    last_login_at BIGINT NOT NULL,
    last_review_at BIGINT NOT NULL
);
CREATE INDEX customer_mobile ON customer (mobile);

-- Readings that paid orders grant; the counter of used ones is kept here.
CREATE TABLE order_right (
    order_id BIGINT NOT NULL PRIMARY KEY,
    number {{bytes}} NOT NULL,
    order_seq BIGINT NOT NULL,
    report_id BIGINT NOT NULL,
    customer_id BIGINT NOT NULL,
    quota BIGINT NOT NULL,
    used BIGINT NOT NULL,
    -- 0 once the order was refunded.
    open SMALLINT NOT NULL,
    paid_at BIGINT NOT NULL
);
CREATE INDEX order_right_person ON order_right (report_id, customer_id, paid_at, order_id);
