-- The full question in SQL, after the rows were copied into `fact` and `covering`.

CREATE TABLE name (text text, id int);
INSERT INTO name SELECT text, row_number() OVER (ORDER BY text)
    FROM (SELECT sub FROM fact UNION SELECT obj FROM fact) all_names (text);
CREATE UNIQUE INDEX ON name (text) INCLUDE (id);
ANALYZE name;

-- Which patterns cover a role, of those that stand on some entry.
CREATE TABLE cover (role int, pattern int);
INSERT INTO cover SELECT role.id, pattern.id FROM covering
    JOIN name role ON role.text = covering.role JOIN name pattern ON pattern.text = covering.pattern;
CREATE UNIQUE INDEX ON cover (role, pattern);

-- Memberships, joined beforehand with the patterns over their roles.
CREATE TABLE lead (sub int, pattern int, role int, start bigint, stop bigint);
INSERT INTO lead SELECT sub.id, cover.pattern, cover.role, start, stop FROM fact
    JOIN name sub ON sub.text = fact.sub JOIN name role ON role.text = fact.obj JOIN cover ON cover.role = role.id
    WHERE act = 4 AND NOT denies ORDER BY 1, 2;
CREATE INDEX ON lead (sub) INCLUDE (pattern, role, start, stop);

CREATE TABLE role_denial (sub int, obj int, start bigint, stop bigint);
INSERT INTO role_denial SELECT sub.id, obj.id, start, stop FROM fact
    JOIN name sub ON sub.text = fact.sub JOIN name obj ON obj.text = fact.obj WHERE act = 4 AND denies ORDER BY 1, 2;
CREATE INDEX ON role_denial (sub) INCLUDE (obj, start, stop);

CREATE TABLE access (sub int, obj int, act int, denies bool, start bigint, stop bigint);
INSERT INTO access SELECT sub.id, obj.id, act, denies, start, stop FROM fact
    JOIN name sub ON sub.text = fact.sub JOIN name obj ON obj.text = fact.obj WHERE act <> 4 ORDER BY 2, 1;
CREATE INDEX ON access (obj) INCLUDE (sub, act, denies, start, stop);

DROP TABLE fact, covering;

-- Steps of decision 0004 at one instant: the closure, whether a denial applies, whether one bars a role, whether a grant
-- applies. An object has few entries on it, so they are read by object and compared with the closure.
CREATE FUNCTION is_granted(subjects text[], action int, objects text[], instant bigint) RETURNS bool
LANGUAGE plpgsql STABLE AS $$
DECLARE
    names int[] := ARRAY(SELECT id FROM name WHERE text = ANY (subjects));
    things int[] := ARRAY(SELECT id FROM name WHERE text = ANY (objects));
    wide int[] := ARRAY(
        WITH RECURSIVE bearer (sub) AS (
            SELECT unnest(names)
            UNION
            SELECT l.pattern FROM bearer JOIN lead l ON l.sub = bearer.sub WHERE l.start <= instant AND l.stop > instant)
        SELECT sub FROM bearer);
    found bool := (
        SELECT bool_or(denies) FROM access
            WHERE obj = ANY (things) AND (act = action OR act = 0) AND sub = ANY (wide) AND start <= instant AND stop > instant);
    barred int[];
    narrow int[];
BEGIN
    -- Nothing applies, or a denial does.
    IF found IS NULL OR found THEN RETURN false; END IF;
    barred := ARRAY(
        SELECT d.obj FROM role_denial d WHERE d.sub = ANY (wide) AND d.start <= instant AND d.stop > instant);
    -- The grants that were found count, since no role is barred.
    IF barred = '{}' THEN RETURN true; END IF;
    narrow := ARRAY(
        WITH RECURSIVE bearer (sub) AS (
            SELECT unnest(names)
            UNION
            SELECT l.pattern FROM bearer JOIN lead l ON l.sub = bearer.sub
                WHERE l.start <= instant AND l.stop > instant
                    AND NOT EXISTS (SELECT FROM cover c WHERE c.role = l.role AND c.pattern = ANY (barred)))
        SELECT sub FROM bearer);
    RETURN EXISTS (
        SELECT FROM access
            WHERE obj = ANY (things) AND NOT denies AND (act = action OR act = 0) AND sub = ANY (narrow)
                AND start <= instant AND stop > instant);
END
$$;

COMMIT;
VACUUM ANALYZE;
