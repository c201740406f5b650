/**
 * Every bound, by name. Nothing else in src/ holds a number that limits something; what happens at each bound
 * is tested. C++ is given its bounds in attach. Sizes are bytes, durations milliseconds.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

// --- segments, slabs, workers ---
/**
 * A segment: the unit of a slab and of a worker task. A pool round trip costs 25-94 us, 4 MiB of work 2-8 ms.
 */
export const SEGMENT_SIZE_MAX = 4 * MIB;
/** The largest chunk of any group: 4 x 1 MiB. Room in front of a slab's segment for the carried tail. */
export const CHUNK_SIZE_MAX = 4 * MIB;
export const CHUNK_SIZE_AVERAGE_MIN = 4 * KIB;
export const CHUNK_SIZE_AVERAGE_MAX = MIB;
export const CHUNK_SIZE_AVERAGE_DEFAULT = 16 * KIB;
/** Slabs of a lane. Untouched pages of a slab take no memory; 64 touched ones take 260 MiB. */
export const SLAB_COUNT_MAX = 64;
/** A stream takes a slab only when it has more than this; below, its bytes wait in a buffer of its own. */
export const STAGING_SIZE_MAX = 64 * KIB;
/** The first size of that buffer, unless the stream's size is announced. */
export const STAGING_SIZE_MIN = 4 * KIB;
/**
 * Segments of one stream that may be under way at once: one being cut, one being stored, one being filled,
 * one spare.
 */
export const STREAM_SEGMENTS_MAX = 4;
/** Segments without new chunks after which a stream is made to store its blockmap nodes all the same. */
export const SEGMENTS_UNSTORED_MAX = 64;
/**
 * While fewer slabs than this are in work and others wait, streams with partly filled slabs have to submit
 * them.
 */
export const SLABS_IN_WORK_MIN = 4;
/** Restores together may hold this share of a lane's slabs: clients that read slowly do not stop ingest. */
export const RESTORE_SLAB_SHARE = 0.5;
/** What a socket may still deliver after it was paused (uWebSockets.js reads up to 512 KiB at a time). */
export const OVERRUN_SIZE_MAX = MIB;
/**
 * Worker threads of a lane, unless told. One that waits for the device leaves its core: on two cores four
 * restored 950 MB/s past the page cache, three 870, two 800; ingest gained a few percent, too.
 */
export const WORKERS_PER_CORE = 2;
export const WORKER_COUNT_MAX = 64;
/** Tasks queued for a lane's workers. */
export const TASK_QUEUE_MAX = 4096;

// --- files and names ---
/** Sizes and offsets are JavaScript numbers: 2^53 - 1 bytes, 8 PiB, is the longest file. */
export const FILE_SIZE_MAX = Number.MAX_SAFE_INTEGER;
/** A file's name inside its container, in bytes of UTF-8. */
export const FILE_NAME_SIZE_MAX = 1024;
/** Names of groups, containers, users, relations: letters, digits, '-', '_', '.'. */
export const NAME_LENGTH_MAX = 64;
/** Rows of one answer of a listing. */
export const LIST_LIMIT_MAX = 1000;
export const GROUP_COUNT_MAX = 64;
export const CONTAINER_COUNT_MAX = 4096;

// --- commit ---
/** Commits that share one sync of data stores and log. */
export const COMMIT_GROUP_MAX = 256;
/** Commits waiting for the next group; beyond it a put is answered BUSY. */
export const COMMIT_QUEUE_MAX = 16384;
/** One entry of the commit log. */
export const LOG_PAYLOAD_SIZE_MAX = 64 * KIB;
/** Bytes of log after which the catalog writes a checkpoint. */
export const CHECKPOINT_INTERVAL_BYTES = 64 * MIB;

// --- space ---
/** Ingest is refused below this share of the volume, or below FREE_FLOOR_BYTES_MAX, whichever is less. */
export const FREE_FLOOR_SHARE = 0.02;
export const FREE_FLOOR_BYTES_MAX = 512 * MIB;
/** A file of this size is kept in each group's directory, and given up when the volume is full. */
export const RESERVE_SIZE = 16 * MIB;
/** Free space below which it is given up: what a group of commits may write to log and view. */
export const RESERVE_LOW_BYTES = 6 * MIB;
/** Below this the free space is looked at before each group of commits. */
export const FREE_WATCH_BYTES = 512 * MIB;
/** Space is looked at again after this many stored bytes or this long. */
export const FREE_CHECK_INTERVAL_MS = 1000;

// --- native engine ---
/**
 * The resident index's memory, per group. At 16 bytes an entry and load 0.85: 27 million chunks, 440 GB of
 * unique data.
 */
export const RESIDENT_INDEX_BYTES_MAX = 512 * MIB;
/**
 * Tables of closed data stores in memory, per group, with an open file for each: some half megabyte a data
 * store. Those used longest ago go, and come back from their trailers when a chunk is looked for in them.
 */
export const CHUNK_TABLE_BYTES_MAX = 64 * MIB;
/** A data store is closed behind it, or behind a hundredth of the volume when that is less. */
export const DATA_STORE_SIZE_TARGET = 128 * MIB;
/** Decompressed regions kept for the next segment of a restore. */
export const REGION_CACHE_BYTES_MAX = 32 * MIB;
/** Rows of one readRows or readRecords call. */
export const ROWS_MAX = 8192;
/** Fingerprint-to-data-store entries written to RocksDB in one batch. */
export const VIEW_BATCH_MAX = 8192;

// --- retention, quota ---
/** What is deleted lies in a container's recycle bin for so long. */
export const BIN_DAYS_MIN = 7;
export const BIN_DAYS_MAX = 30;
export const LOCK_DAYS_MIN = 1;
export const LOCK_DAYS_MAX = 36_500;
/** The retention clock is logged so often, and before anything leaves a recycle bin. */
export const RETENTION_CLOCK_INTERVAL_MS = 600_000;
/** Wall clock and monotonic clock apart by more: the retention clock stands. */
export const RETENTION_DISAGREEMENT_MAX_MS = 24 * 3600_000;
/** A recycle bin is looked through for what may go at least so often. */
export const BIN_SCAN_INTERVAL_MS = 3600_000;
/** Versions that leave recycle bins in one change. */
export const BIN_DROP_BATCH_MAX = 256;
/** Bytes that a container's files may have. */
export const LOGICAL_QUOTA_BYTES_MIN = 1;
/** A quota of which this share is used raises an event. */
export const QUOTA_WARN_SHARE = 0.85;

// --- cleaner, scrub ---
/** Chunks whose bits one CONDEMN or QUARANTINE record holds: 60 000 bytes of bits. */
export const CONDEMN_CHUNKS_MAX = 480_000;
/** Stored bytes of one step of scrub or verify: some 20 ms of a worker. */
export const SCRUB_STEP_BYTES = 4 * MIB;
/** Every record is read once in so long. */
export const SCRUB_PERIOD_MS = 7 * 24 * 3600_000;
/** All references are looked for once in so long. */
export const SCRUB_REFERENCES_MS = 24 * 3600_000;
/** Every file is read as a whole once in so long; new ones at once. */
export const SCRUB_FILES_MS = 100 * 24 * 3600_000;
/** Scrub looks this often for what is due: closed data stores are read back within the minute. */
export const SCRUB_TICK_MS = 60_000;
/** How far scrub is gets durable this often; what it did since, it does again after a crash. */
export const SCRUB_SAVE_MS = 30_000;
/** Data stores that are known to have been read back; older ones are read again after a restart. */
export const SCRUB_CHECKED_MAX = 100_000;
/** Files that one event or status of scrub names. */
export const SCRUB_FILES_NAMED_MAX = 100;
/** Lost chunks that one pass over the references asks the sources of repair for. */
export const REPAIR_CHUNKS_MAX = 65_536;
/** Damaged chunks without another copy that are followed to the files that need them: 60 bytes each. */
export const DAMAGED_CHUNKS_MAX = 500_000;
/** Damages of a group that one report names. */
export const DAMAGES_NAMED_MAX = 10_000;
/** Rows of a blockmap node, as native/blockmap writes it. */
export const BLOCKMAP_NODE_ROWS_MAX = 512;
/** Chunks that reads have found damaged and scrub has not looked at yet. */
export const DAMAGE_REPORTS_MAX = 65_536;
/** Chunks that a source of repair is asked for at a time, a segment's bytes at most. */
export const REPAIR_BATCH_CHUNKS = 256;
/** Roots that one call marks; names of a pass of mark 2, about 200 bytes each. */
export const CLEANER_ROOTS_MAX = 64;
export const CLEANER_NAMES_MAX = 500_000;
/** Chunks condemned in one cycle: mark 2 keeps 16 bytes of each, 128 MiB. */
export const CLEANER_CONDEMNED_CHUNKS_MAX = 8_000_000;
/** Fingerprints of a data store that are looked at together; a multiple of 8. */
export const CLEANER_FINGERPRINTS_MAX = 8192;
/** Plain bytes that one unit of copying forward takes on: some 50 ms. */
export const CLEANER_COPY_BYTES = 8 * MIB;
/** What is copied in one cycle takes at most this share of the free space. */
export const CLEANER_COPY_FREE_SHARE = 0.5;
/** Of data stores that are copied only because of their old key, in a cycle that began by itself. */
export const CLEANER_RESEAL_BYTES_MAX = 4096 * MIB;
/** A data store is emptied when so much of it is dead; thoroughly, already at the lower share … */
export const CLEANER_DEAD_SHARE_AUTOMATIC = 0.2;
export const CLEANER_DEAD_SHARE_MIN = 0.01;
/** Data stores below this share of a full one are copied together when they are many: starts leave some. */
export const CLEANER_SMALL_STORE_SHARE = 1 / 16;
export const CLEANER_SMALL_STORES_MIN = 16;
/** … as long as the deader ones do not cover this share of all that is dead. */
export const CLEANER_DEAD_COVERED = 0.98;
/** Dead beyond what the log accounts for. The account is exact; this is for rounding of what is to come. */
export const CLEANER_BRAKE_SLACK_BYTES = MIB;
/** Epochs whose trash waits for the end of its hold. */
export const CLEANER_TRASH_EPOCHS_MAX = 4096;
/** The longest hold: 90 days. */
export const CLEANER_HOLD_HOURS_MAX = 90 * 24;
export const CLEANER_WINDOWS_MAX = 64;
/** It is looked this often whether a cycle is due; one follows another by itself after this long only. */
export const CLEANER_TICK_MS = 10_000;
export const CLEANER_INTERVAL_MS = 600_000;
/** So long nothing was committed: a cycle may begin where there are no windows. */
export const CLEANER_IDLE_MS = 60_000;
/** Worth a cycle: so many bytes seem dead, and so large a share of what is stored. */
export const CLEANER_EXPECTED_BYTES_MIN = 64 * MIB;
export const CLEANER_EXPECTED_SHARE_MIN = 0.02;
/** Space is short: below this share of the volume or this size, or at this share of the quota. */
export const CLEANER_FORCE_FREE_SHARE = 0.1;
export const CLEANER_FORCE_FREE_BYTES_MAX = 16_384 * MIB;
export const CLEANER_FORCE_QUOTA_SHARE = 0.9;
/** Rest for each millisecond of work while ingest or restores run: a sixth of the time is worked. */
export const PACER_REST_FACTOR = 5;
/** One rest: a unit of work that a slow disk has drawn out does not stop the flow for minutes. */
export const PACER_REST_MS_MAX = 5000;

// --- restore ---
/** Segments read ahead of what the client has taken. */
export const READ_AHEAD_SEGMENTS = 4;
/** Read-ahead leaves this share of the restores' slabs to restores that have none yet. */
export const READ_AHEAD_FREE_SHARE = 0.25;

// --- front ---
export const CONNECTIONS_MAX = 16384;
export const REQUEST_HEADER_SIZE_MAX = 16 * KIB;
export const REQUEST_HEADER_COUNT_MAX = 96;
/** JSON bodies of the administration routes. */
export const JSON_BODY_SIZE_MAX = MIB;
/** Headers have to be complete within it (slow clients). */
export const HEADER_TIMEOUT_MS = 20_000;
/**
 * A body must bring BODY_WINDOW_BYTES_MIN in each such window, unless we have paused it. Long, because a dump
 * that waits for a lock or a tape is no attack: who sends a body has shown a token.
 */
export const BODY_STALL_TIMEOUT_MS = 900_000;
export const BODY_WINDOW_BYTES_MIN = 1;
/**
 * uWebSockets.js cuts a body below 16 KB/s after ten seconds: one this slow is paused for a moment, so often.
 */
export const BODY_NUDGE_INTERVAL_MS = 4000;
export const BODY_NUDGE_BYTES_MIN = 256 * KIB;
export const BODY_NUDGE_PAUSE_MS = 200;
/** A client that takes nothing of one HTTP_RESPONSE_CHUNK for so long has gone. */
export const SEND_STALL_TIMEOUT_MS = 300_000;
/** Idle keep-alive connections are closed after it. */
export const IDLE_TIMEOUT_MS = 60_000;
/** A refused body of at most this size is read and dropped, and the connection kept. */
export const DRAIN_KEEP_ALIVE_MAX = MIB;
/**
 * How much of a longer one is dropped, and how long, so that the client sees the answer before the connection
 * closes.
 */
export const DRAIN_SIZE_MAX = 64 * MIB;
export const DRAIN_TIMEOUT_MS = 2000;
/** One WebSocket message. */
export const WEBSOCKET_MESSAGE_SIZE_MAX = 8 * MIB;
/** Above the low mark send() asks its caller to wait; above the maximum it refuses. */
export const WEBSOCKET_BACKLOG_LOW = MIB;
export const WEBSOCKET_BACKLOG_MAX = 32 * MIB;
/** Silence after which a WebSocket is pinged, and closed when nothing comes back. */
export const WEBSOCKET_IDLE_SECONDS = 60;
/** Addresses whose failed log-ins are remembered. */
export const AUTH_ADDRESSES_MAX = 4096;
/**
 * Kernel buffers of a connection, as SO_RCVBUF and SO_SNDBUF (the kernel doubles them). uWebSockets.js reads
 * on, pause or not, as long as one read brings more than 488 KiB: a receive buffer below that makes a pause
 * hold (measured: reads of 256 KiB and no overrun; at 440 KiB some streams still overran). A small send
 * buffer lets its ten-second rule see that a slow reader goes on.
 */
export const SOCKET_RECEIVE_BUFFER = 208 * KIB;
export const SOCKET_SEND_BUFFER = 256 * KIB;
export const GRACE_SECONDS_DEFAULT = 10;
/** Failed log-ins of one address within a minute before it has to wait. */
export const AUTH_FAILURES_MAX = 30;
/** Uploads whose progress can be asked for; further ones go on without. */
export const UPLOADS_NAMED_MAX = 4096;
export const WORK_NAME_LENGTH_MAX = 64;
/** Checks whose progress can be asked for; further ones go on without. */
export const JOBS_NAMED_MAX = 64;
/** Long work looks this often whether its client is there still. */
export const CLIENT_CHECK_MS = 500;

// --- keys ---
export const PASSPHRASE_SIZE_MAX = 255;
export const KEY_EPOCHS_MAX = 1023;
export const ROTATION_DAYS_MIN = 7;
export const ROTATION_DAYS_MAX = 70 * 365;
export const ROTATION_DAYS_DEFAULT = 30;
/** scrypt, RFC 7914: N, r, p. 128 MiB for each try. */
export const SCRYPT_COST = 2 ** 17;
export const SCRYPT_BLOCK_SIZE = 8;
export const SCRYPT_PARALLEL = 1;

// --- performance tier ---
/** The vendor's own minimum for such a volume, IOPS. */
export const TIER_SEQUENTIAL_IOPS_MIN = 2000;
export const TIER_RANDOM_IOPS_MIN = 850;

export const QUOTA_BYTES_MIN = MIB;
export const HTTP_RESPONSE_CHUNK = 256 * KIB;

// --- catalog: background work, checkpoints, memory ---
/** Each group looks this often at its counters, and for background work that is due. */
export const BACKGROUND_TICK_MS = 1000;
/** Background work waits until nothing was committed for so long. */
export const BACKGROUND_IDLE_MS = 2000;
/** Key rotation is looked at this often. */
export const ROTATION_CHECK_MS = 3600_000;
/** Closed data stores are looked for this often, to be entered into the view's table of places. */
export const PLACES_CHECK_MS = 30_000;
/** Data stores whose trailers one task loads into the resident index. */
export const WARM_DATA_STORES = 4;
/** Bytes of a checkpoint's entries that one append to the log takes. */
export const CHECKPOINT_BATCH_BYTES = 256 * KIB;
/** Bytes that one readLog answers while the view is brought up to date. */
export const REPLAY_BUFFER_BYTES = MIB;
/**
 * Names of encrypted groups are ordered in memory, about 100 bytes each; beyond so many a listing is
 * UNSUPPORTED.
 */
export const LISTED_NAMES_MAX = 2_000_000;
/** RocksDB: block cache, write buffer. */
export const VIEW_CACHE_BYTES = 64 * MIB;
export const VIEW_WRITE_BUFFER_BYTES = 16 * MIB;
/** Values sealed or opened in one go before other work of the event loop gets its turn. */
export const VIEW_SEAL_BURST = 512;
export const USER_COUNT_MAX = 1024;

// --- keyring ---
/**
 * What a stored keyring may ask of us: below, it is too cheap to guess; above, it would take all memory (16
 * MiB … 1 GiB).
 */
export const SCRYPT_COST_MIN = 2 ** 14;
export const SCRYPT_COST_MAX = 2 ** 20;
export const SCRYPT_PARALLEL_MAX = 4;
export const KEY_SLOTS_MAX = 16;
export const KEY_FILE_SIZE_MAX = MIB;
/** Copies of keyring and system file. */
export const STATE_FILE_SIZE_MAX = 8 * MIB;

// --- command line ---
/** One read of a file that is put, one write to the socket. */
export const TRANSFER_BUFFER_SIZE = MIB;
/** Buffers of a transfer: one being read, one in the socket, the rest smooth the two. */
export const TRANSFER_BUFFERS_MAX = 4;
/** Restored bytes that are gathered for one write to the file. */
export const RESTORE_WRITE_SIZE = 2 * MIB;
/** Restored bytes that wait for the disk before the socket is paused. */
export const RESTORE_BACKLOG_MAX = 8 * MIB;
/** A JSON answer; listings are paged, so none is longer. */
export const ANSWER_SIZE_MAX = 16 * MIB;
/** Redrawing of the progress bar. */
export const PROGRESS_INTERVAL_MS = 200;
/** The server is asked this often whether a cycle of the cleaner is over. */
export const CLEANER_POLL_INTERVAL_MS = 500;
/** The server is asked this often what an upload saves, while a progress bar is shown. */
export const SAVING_INTERVAL_MS = 1000;
