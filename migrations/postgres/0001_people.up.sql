-- Accounts, API tokens, browser sessions and one-time sign-in links. Of secrets only the SHA-256 is kept.
--
-- In all tables: ids are ULIDs in lower case, digests 64 hexadecimal digits, times milliseconds since 1970-01-01 UTC,
-- states the fixed names of sekisho-domain, and structures JSON text, kept as they came: some are hashed. Texts are ordered by their
-- bytes, as on SQLite.

-- What SQLite has for JSON in texts, so that one statement does for both.

-- The elements of a list; strings without their quotation marks.
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (value TEXT)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20
    AS $$ SELECT element COLLATE "C" FROM json_array_elements_text(list::json) AS element $$;

-- The elements of a list within a structure.
CREATE FUNCTION json_each(structure TEXT, path TEXT) RETURNS TABLE (value TEXT)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20
    AS $$ SELECT element COLLATE "C" FROM json_array_elements_text(structure::json #> string_to_array(substr(path, 3), '.')) AS element $$;

-- What a path like $.parent.run or $[0] leads to, as text; null where it leads nowhere.
CREATE FUNCTION json_extract(structure TEXT, path TEXT) RETURNS TEXT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT (structure::json #>> string_to_array(ltrim(translate(substr(path, 2), '.[]', ',,'), ','), ',')) COLLATE "C" $$;

CREATE FUNCTION json_array_length(structure TEXT, path TEXT) RETURNS BIGINT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT json_array_length(structure::json #> string_to_array(substr(path, 3), '.'))::BIGINT $$;

-- Where a text begins in another, from 1; 0 where it does not.
CREATE FUNCTION instr(whole TEXT, part TEXT) RETURNS BIGINT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT strpos(whole, part)::BIGINT $$;

-- The larger of two, beside the aggregate of that name.
CREATE FUNCTION max(one BIGINT, other BIGINT) RETURNS BIGINT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT greatest(one, other) $$;

CREATE TABLE users (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name    TEXT COLLATE "C" NOT NULL UNIQUE,
    roles   TEXT COLLATE "C" NOT NULL,  -- JSON list
    created BIGINT           NOT NULL
);

CREATE TABLE api_tokens (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    label   TEXT COLLATE "C" NOT NULL,
    hash    TEXT COLLATE "C" NOT NULL UNIQUE,
    scopes  TEXT COLLATE "C" NOT NULL,  -- JSON list
    expires BIGINT,
    created BIGINT           NOT NULL
);

CREATE INDEX api_tokens_of_user ON api_tokens (user_id);

CREATE TABLE login_links (
    hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    expires BIGINT           NOT NULL
);

CREATE TABLE sessions (
    hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    csrf    TEXT COLLATE "C" NOT NULL,
    expires BIGINT           NOT NULL
);
