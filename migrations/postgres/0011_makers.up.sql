-- Whose tokens led to a credential: the accounts behind the token that made it, and behind the one that made that token.
-- Sign-ins from before nobody can tell about end here; people open a new link.

ALTER TABLE api_tokens ADD COLUMN makers TEXT COLLATE "C" NOT NULL DEFAULT '[]';   -- JSON list of account ids
ALTER TABLE login_links ADD COLUMN makers TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN makers TEXT COLLATE "C" NOT NULL DEFAULT '[]';

DELETE FROM login_links;
DELETE FROM sessions;
