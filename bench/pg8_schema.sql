-- The baseline's tables: what a points engine written by hand in SQL would keep, filled for :users users.
CREATE TABLE tenant (id int PRIMARY KEY, revision int NOT NULL);
CREATE TABLE access_key (digest text PRIMARY KEY, tenant_id int NOT NULL);
CREATE TABLE measure (id int PRIMARY KEY, tenant_id int NOT NULL, key text NOT NULL, UNIQUE (tenant_id, key));
CREATE TABLE rule (
    id int PRIMARY KEY, currency_id int, measure_id int, cause text, threshold float8, points int, condition jsonb
);
CREATE TABLE currency (id int PRIMARY KEY, tenant_id int, key text, ceiling bigint);

CREATE TABLE learner (
    id bigserial PRIMARY KEY,
    tenant_id int NOT NULL,
    external_id text NOT NULL,
    name text,
    email text,
    zone text,
    traits jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now(),
    updated timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, external_id)
) WITH (fillfactor = 80);

CREATE TABLE report (
    id bigserial PRIMARY KEY,
    measure_id int NOT NULL,
    learner_id bigint NOT NULL,
    request_key text,
    amount float8 NOT NULL,
    traits jsonb NOT NULL DEFAULT '{}',
    created timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX report_once ON report (measure_id, learner_id, request_key) WHERE request_key IS NOT NULL;
CREATE INDEX report_by_learner ON report (learner_id, created);

CREATE TABLE running_sum (
    learner_id bigint,
    measure_id int,
    amount float8 NOT NULL,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (learner_id, measure_id)
) WITH (fillfactor = 70);

CREATE TABLE run_of_days (
    learner_id bigint,
    measure_id int,
    days int NOT NULL,
    record int NOT NULL,
    newest_day date NOT NULL,
    PRIMARY KEY (learner_id, measure_id)
) WITH (fillfactor = 70);

CREATE TABLE ledger (
    id bigserial PRIMARY KEY,
    currency_id int NOT NULL,
    learner_id bigint NOT NULL,
    rule_id int NOT NULL,
    report_id bigint,
    points bigint NOT NULL,
    holding bigint NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_by_learner ON ledger (learner_id, currency_id, created);

CREATE TABLE purse (
    learner_id bigint,
    currency_id int,
    holding bigint NOT NULL,
    rank int NOT NULL DEFAULT 0,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (learner_id, currency_id)
) WITH (fillfactor = 70);

CREATE TABLE message (
    id bigserial PRIMARY KEY,
    kind text NOT NULL,
    content jsonb NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    sent timestamptz
);
CREATE INDEX message_unsent ON message (id) WHERE sent IS NULL;

CREATE TABLE standing (
    board_id int,
    learner_id bigint,
    score float8 NOT NULL,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (board_id, learner_id)
) WITH (fillfactor = 70);
CREATE INDEX standing_order ON standing (board_id, score DESC, learner_id);

INSERT INTO tenant VALUES (1, 1);
INSERT INTO access_key VALUES ('bench-0123456789abcdef', 1);
INSERT INTO measure VALUES (1, 1, 'lessons'), (2, 1, 'flashcards');
INSERT INTO currency VALUES (1, 1, 'xp', 1000000000);
INSERT INTO rule VALUES
    (1, 1, 1, 'metric', 10, 10, '{}'),
    (2, 1, 1, 'metric', 100, 50, '{}'),
    (3, 1, 1, 'metric', 1, 1, '{"plan": "pro"}'),
    (4, 1, 1, 'streak', 7, 100, '{}'),
    (5, 1, 1, 'metric', 1, 5, '{"category": "writing"}');

INSERT INTO learner (tenant_id, external_id, name, email, zone, traits)
SELECT 1, 'user-' || n, 'User ' || n, 'user-' || n || '@example.com', 'Europe/London',
       jsonb_build_object('plan', CASE WHEN n % 2 = 0 THEN 'pro' ELSE 'free' END)
FROM generate_series(1, :users) AS n;
INSERT INTO running_sum SELECT id, 1, 0, now() FROM learner;
INSERT INTO run_of_days SELECT id, 1, 3, 5, current_date - 1 FROM learner;
INSERT INTO purse SELECT id, 1, 0, 0, now() FROM learner;
INSERT INTO standing SELECT 1, id, (id * 7919) % 10000, now() FROM learner;
