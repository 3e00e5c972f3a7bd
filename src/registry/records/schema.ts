import type { Migration } from "../../base/store/database.ts";

/**
 * What the registry knows beside the bytes. A repository *links* the blobs that were pushed or mounted into it; a manifest's
 * *references* are the blobs, manifests and subject it names. `blob` lists everything in storage, so nothing ever has to walk it.
 * Sums are kept by triggers: quotas, pages and metrics read one row.
 */
export const recordMigrations: readonly Migration[] = [
  `
  CREATE TABLE repository (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
  );
  CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE blob (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    added INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE link (
    repository INTEGER NOT NULL REFERENCES repository (id),
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    linked INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID;
  CREATE INDEX link_digest ON link (digest);
  CREATE TABLE manifest (
    repository INTEGER NOT NULL REFERENCES repository (id),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    artifact_type TEXT NOT NULL,
    subject TEXT,
    annotations TEXT,
    pushed INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID;
  CREATE INDEX manifest_digest ON manifest (digest);
  CREATE INDEX manifest_subject ON manifest (repository, subject, digest) WHERE subject IS NOT NULL;
  CREATE TABLE reference (
    repository INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, target),
    FOREIGN KEY (repository, manifest) REFERENCES manifest (repository, digest) ON DELETE CASCADE
  ) WITHOUT ROWID;
  CREATE INDEX reference_target ON reference (repository, target);
  CREATE TABLE tag (
    repository INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (repository, name),
    FOREIGN KEY (repository, digest) REFERENCES manifest (repository, digest) ON DELETE CASCADE
  ) WITHOUT ROWID;
  CREATE INDEX tag_digest ON tag (repository, digest);
  CREATE TABLE total (repositories INTEGER NOT NULL, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL);
  INSERT INTO total VALUES (0, 0, 0);
  CREATE TRIGGER repository_added AFTER INSERT ON repository BEGIN UPDATE total SET repositories = repositories + 1; END;
  CREATE TRIGGER repository_removed AFTER DELETE ON repository BEGIN UPDATE total SET repositories = repositories - 1; END;
  CREATE TRIGGER blob_added AFTER INSERT ON blob BEGIN
    UPDATE total SET blobs = blobs + 1, bytes = bytes + NEW.size; END;
  CREATE TRIGGER blob_removed AFTER DELETE ON blob BEGIN
    UPDATE total SET blobs = blobs - 1, bytes = bytes - OLD.size; END;
  CREATE TRIGGER link_added AFTER INSERT ON link BEGIN
    UPDATE repository SET bytes = bytes + NEW.size WHERE id = NEW.repository; END;
  CREATE TRIGGER link_removed AFTER DELETE ON link BEGIN
    UPDATE repository SET bytes = bytes - OLD.size WHERE id = OLD.repository; END;
  CREATE TRIGGER manifest_added AFTER INSERT ON manifest BEGIN
    UPDATE repository SET bytes = bytes + NEW.size WHERE id = NEW.repository; END;
  CREATE TRIGGER manifest_removed AFTER DELETE ON manifest BEGIN
    UPDATE repository SET bytes = bytes - OLD.size WHERE id = OLD.repository; END;
  `,
];

/** Upload sessions and events on their way: not worth a sync each. A session that a power cut takes is only begun again. */
export const uploadMigrations: readonly Migration[] = [
  `
  CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    used INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX upload_used ON upload (used);
  CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL,
    body TEXT NOT NULL
  );
  CREATE INDEX event_endpoint ON event (endpoint, id);
  `,
];
