-- Passwords, projects, and sign-ins that a command line asks for and a browser confirms.

ALTER TABLE users ADD COLUMN password TEXT COLLATE "C";                              -- argon2 in the PHC string format
ALTER TABLE users ADD COLUMN password_makers TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- of the session in which it was set, as for sessions

CREATE TABLE projects (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    title   TEXT COLLATE "C" NOT NULL,
    created BIGINT           NOT NULL
);

INSERT INTO projects (name, title, created) VALUES ('default', '', 0);

ALTER TABLE runs ADD COLUMN project TEXT COLLATE "C" NOT NULL DEFAULT 'default';   -- projects.name

-- What an account may do in one project, besides users.roles, which hold everywhere.
CREATE TABLE project_roles (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    project TEXT COLLATE "C" NOT NULL REFERENCES projects (name),
    roles   TEXT COLLATE "C" NOT NULL,  -- JSON list
    PRIMARY KEY (user_id, project)
);

CREATE TABLE login_requests (
    hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- of the secret that the command line holds
    code    TEXT COLLATE "C" NOT NULL UNIQUE,       -- shown on both screens
    origin  TEXT COLLATE "C" NOT NULL,              -- who says it asks: user@host
    expires BIGINT           NOT NULL
);

ALTER TABLE sessions ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'browser';    -- browser, or command
