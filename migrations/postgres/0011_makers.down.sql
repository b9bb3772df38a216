ALTER TABLE sessions DROP COLUMN makers;
ALTER TABLE login_links DROP COLUMN makers;
ALTER TABLE api_tokens DROP COLUMN makers;
