ALTER TABLE sessions DROP COLUMN kind;
DROP TABLE login_requests;
DROP TABLE project_roles;
ALTER TABLE runs DROP COLUMN project;
DROP TABLE projects;
ALTER TABLE users DROP COLUMN password_makers;
ALTER TABLE users DROP COLUMN password;
