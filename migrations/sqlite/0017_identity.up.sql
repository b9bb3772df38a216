-- Passwords, projects, and sign-ins that a command line asks for and a browser confirms.

ALTER TABLE users ADD COLUMN password TEXT;                              -- argon2 in the PHC string format
ALTER TABLE users ADD COLUMN password_makers TEXT NOT NULL DEFAULT '[]'; -- of the session in which it was set, as for sessions

CREATE TABLE projects (
    name    TEXT    NOT NULL PRIMARY KEY,
    title   TEXT    NOT NULL,
    created INTEGER NOT NULL
) STRICT;

INSERT INTO projects (name, title, created) VALUES ('default', '', 0);

ALTER TABLE runs ADD COLUMN project TEXT NOT NULL DEFAULT 'default';   -- projects.name

-- What an account may do in one project, besides users.roles, which hold everywhere.
CREATE TABLE project_roles (
    user_id TEXT NOT NULL REFERENCES users (id),
    project TEXT NOT NULL REFERENCES projects (name),
    roles   TEXT NOT NULL,                                               -- JSON list
    PRIMARY KEY (user_id, project)
) STRICT, WITHOUT ROWID;

CREATE TABLE login_requests (
    hash    TEXT    NOT NULL PRIMARY KEY,                                -- of the secret that the command line holds
    code    TEXT    NOT NULL UNIQUE,                                     -- shown on both screens
    origin  TEXT    NOT NULL,                                            -- who says it asks: user@host
    expires INTEGER NOT NULL
) STRICT;

ALTER TABLE sessions ADD COLUMN kind TEXT NOT NULL DEFAULT 'browser';    -- browser, or command
