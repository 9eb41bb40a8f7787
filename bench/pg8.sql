-- One event by hand: eight statements and, for three events in ten, a message to send.
\set learner random(1, :users)
\set amount random(1, 20)
\set request_key random(1, 1000000000000)
\set chance random(1, 100)
BEGIN;
SELECT t.id, t.revision FROM access_key k JOIN tenant t ON t.id = k.tenant_id WHERE k.digest = 'bench-0123456789abcdef';
INSERT INTO learner AS l (tenant_id, external_id, traits)
VALUES (1, 'user-' || :learner, '{"plan": "pro", "country": "GB"}')
ON CONFLICT (tenant_id, external_id) DO UPDATE SET traits = l.traits || excluded.traits, updated = now()
RETURNING id AS learner_id, traits \gset
INSERT INTO report (measure_id, learner_id, request_key, amount, traits)
VALUES (1, :learner_id, 'request-' || :request_key, :amount, '{"category": "writing", "source": "web"}')
ON CONFLICT (measure_id, learner_id, request_key) WHERE request_key IS NOT NULL DO NOTHING
RETURNING id AS report_id \gset
INSERT INTO running_sum AS s VALUES (:learner_id, 1, :amount, now())
ON CONFLICT (learner_id, measure_id) DO UPDATE SET amount = s.amount + excluded.amount, updated = now()
RETURNING amount;
INSERT INTO run_of_days AS r VALUES (:learner_id, 1, 1, 1, current_date)
ON CONFLICT (learner_id, measure_id) DO UPDATE
SET days = CASE r.newest_day WHEN current_date THEN r.days WHEN current_date - 1 THEN r.days + 1 ELSE 1 END,
    newest_day = current_date, record = greatest(r.record, r.days)
RETURNING days;
INSERT INTO purse AS p VALUES (:learner_id, 1, 10, 0, now())
ON CONFLICT (learner_id, currency_id) DO UPDATE
SET holding = greatest(0, least(p.holding + 10, 1000000000)),
    rank = width_bucket(p.holding + 10, 0, 10000, 10), updated = now()
RETURNING holding, rank \gset
INSERT INTO ledger (currency_id, learner_id, rule_id, report_id, points, holding)
VALUES (1, :learner_id, 1, :report_id, 10, :holding), (1, :learner_id, 5, :report_id, 5, :holding)
RETURNING id;
\if :chance <= 30
INSERT INTO message (kind, content) VALUES ('points.changed', '{"user": "user-1", "points": 100, "added": 10}');
\endif
INSERT INTO standing AS s VALUES (1, :learner_id, :amount, now())
ON CONFLICT (board_id, learner_id) DO UPDATE SET score = s.score + excluded.score, updated = now()
RETURNING score;
COMMIT;
