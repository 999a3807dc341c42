package delta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// readers is how many files of a log are read at the same time: all commits that usually follow a checkpoint.
const readers = 16

// relists is how often a log with a gap is listed again. A listing is not a view of one moment: it may show a commit
// and miss the one before it when both are made while it runs.
const relists = 3

// Snapshot returns the newest version of the table, or an error wrapping store.ErrNoTable. When nothing has changed
// since the last call, it costs one listing of the log's end, or in a folder a look for the next commits.
func (t *Table) Snapshot(ctx context.Context) (*Snapshot, error) {
	s, err := t.load(ctx, t.known(), -1, true)
	if err != nil {
		return nil, err
	}
	t.remember(s)
	return s, nil
}

// known is the snapshot that was read last, nil if none was.
func (t *Table) known() *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// remember keeps a snapshot as the place from where the next one is read.
func (t *Table) remember(s *Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = s
}

// SnapshotAt returns an older version of the table. A version that the log does not hold any more, or not yet, gives
// an error wrapping fs.ErrNotExist.
func (t *Table) SnapshotAt(ctx context.Context, version int64) (*Snapshot, error) {
	s, err := t.load(ctx, nil, version, false)
	if err == nil && s.Version != version {
		err = fmt.Errorf("read log of %s: version %d: %w (the newest is %d)",
			t.URI(), version, fs.ErrNotExist, s.Version)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// URI is where the table lives, without credentials.
func (t *Table) URI() string { return t.Bucket.URI(t.Path) }

// load reads the log up to a version (negative: the newest), from the last known snapshot when it still is a part
// of the log. The newest may be looked for by names, but only once: if that fails, the log is listed.
func (t *Table) load(ctx context.Context, last *Snapshot, version int64, look bool) (*Snapshot, error) {
	var err error
	for try := range relists {
		var s *Snapshot
		if s, err = t.loadOnce(ctx, last, version, look && try == 0); err == nil {
			return s, nil
		}
		gap := errors.As(err, new(*gapError))
		if !gap && !errors.Is(err, errShort) {
			break
		}
		if gap { // what is missing may have been cleaned up, and a newer checkpoint do without it
			last = nil
		}
	}
	return nil, fmt.Errorf("read log of %s: %w", t.URI(), err)
}

// loadOnce is load without another try. It lists the log, unless looking for the names that it may have will do.
func (t *Table) loadOnce(ctx context.Context, last *Snapshot, version int64, look bool) (*Snapshot, error) {
	if last != nil {
		s, err := t.catchUp(ctx, last, look)
		if s != nil || err != nil {
			return s, err
		}
	}
	hint := t.hint(ctx, version)
	if look && hint > 0 {
		if files, ok := t.look(ctx, hint, true); ok {
			if s, err := t.replayFiles(ctx, files); err == nil {
				return s, nil
			}
		}
	}
	s, err := t.loadFrom(ctx, hint, version)
	if hint > 0 && errors.Is(err, store.ErrCorrupt) { // the commits before the damaged checkpoint may still be there
		return t.loadFrom(ctx, 0, version)
	}
	return s, err
}

// loadFrom reads the log from a version on, which has a checkpoint or is 0, up to another one (negative: the newest).
func (t *Table) loadFrom(ctx context.Context, from, version int64) (*Snapshot, error) {
	files, err := t.list(ctx, from)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, store.ErrNoTable
	}
	first := files[0].version
	if version >= 0 {
		files = slices.DeleteFunc(files, func(f logFile) bool { return f.version > version })
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("version %d: %w (the oldest is %d)", version, fs.ErrNotExist, first)
	}
	return t.replayFiles(ctx, files)
}

// Newest is Snapshot for those who delete what it does not name. It lists the log also where names could be looked for, since
// only a listing shows what is behind many lost commits. And it does not trust the listing alone, which some storages bring up
// to date late, but asks for the commits after the last one that is listed.
func (t *Table) Newest(ctx context.Context) (*Snapshot, error) {
	s, err := t.load(ctx, t.known(), -1, false)
	if err != nil {
		return nil, err
	}
	for {
		name := commitName(s.Version + 1)
		f := logFile{Object: bucket.Object{Name: t.logPath(name)}, version: s.Version + 1, commit: true}
		actions, size, err := t.readCommit(ctx, f)
		if errors.Is(err, fs.ErrNotExist) {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		f.Size = size
		r := replayFrom(s)
		if err := r.apply(f, actions); err != nil {
			return nil, err
		}
		if s, err = r.finish(); err != nil {
			return nil, err
		}
	}
}

// catchUp reads the commits after a snapshot. It returns nil when the snapshot's own commit is not in the log any
// more, or is another one: then the log was cleaned up, or the table made anew.
func (t *Table) catchUp(ctx context.Context, last *Snapshot, look bool) (*Snapshot, error) {
	var files []logFile
	if look {
		files, look = t.look(ctx, last.Version, false)
	}
	if !look {
		var err error
		if files, err = t.list(ctx, last.Version); err != nil || len(files) == 0 {
			return nil, err
		}
	}
	i := slices.IndexFunc(files, func(f logFile) bool { return f.commit && f.version == last.Version })
	if i < 0 || !sameObject(files[i], last.last) {
		return nil, nil
	}
	known := files[i]
	commits := slices.DeleteFunc(files, func(f logFile) bool { return !f.commit || f.version <= last.Version })
	if len(commits) == 0 {
		if last.last.ModTime.IsZero() { // our own commit: now its place in the log is known
			s := *last
			s.last = known
			return &s, nil
		}
		return last, nil
	}
	return t.replayCommits(ctx, replayFrom(last), last.Version, commits)
}

// sameObject reports whether a commit is the one that was seen before. Of a commit that we have made ourselves and
// never listed, only the size is known.
func sameObject(now, before logFile) bool {
	if before.ModTime.IsZero() {
		return now.Size == before.Size
	}
	return now.Size == before.Size && now.ETag == before.ETag && now.ModTime.Equal(before.ModTime)
}

// maxHint is how many bytes of _last_checkpoint are read. Some writers repeat the columns of the table in it.
const maxHint = 16 << 20

// hint returns the version of a checkpoint that the log is known to have, or 0. A file that cannot be read is no
// obstacle: it only saves a longer listing.
func (t *Table) hint(ctx context.Context, limit int64) int64 {
	version, err := t.readHint(ctx)
	if err != nil || limit >= 0 && version > limit {
		return 0
	}
	return version
}

// readHint returns the version of the checkpoint that _last_checkpoint names.
func (t *Table) readHint(ctx context.Context) (int64, error) {
	body, err := t.read(ctx, "_last_checkpoint", maxHint)
	if err != nil {
		return 0, err
	}
	var hint struct {
		Version int64 `json:"version"`
	}
	if err := json.Unmarshal(body, &hint); err != nil {
		return 0, err
	}
	if hint.Version < 0 {
		return 0, fmt.Errorf("_last_checkpoint names version %d", hint.Version)
	}
	return hint.Version, nil
}

// list returns the files of the log from a version on, in ascending order of version. When there is no such version
// in the log, all are returned: the hint was wrong.
func (t *Table) list(ctx context.Context, from int64) ([]logFile, error) {
	dir := path.Join(t.Path, logDir) + "/"
	var files []logFile
	after := ""
	if from > 0 {
		after = dir + strings.TrimSuffix(commitName(from), ".json")
	}
	for o, err := range t.Bucket.List(ctx, dir, after) {
		if err != nil {
			return nil, err
		}
		if f, ok := parseLogName(strings.TrimPrefix(o.Name, dir), o); ok {
			files = append(files, f)
		}
	}
	if from > 0 && (len(files) == 0 || files[0].version != from) {
		return t.list(ctx, 0)
	}
	return files, nil
}

// replayFiles builds the snapshot of a listing: the newest checkpoint that can be read, then the commits after it.
func (t *Table) replayFiles(ctx context.Context, files []logFile) (*Snapshot, error) {
	commits := slices.DeleteFunc(slices.Clone(files), func(f logFile) bool { return !f.commit })
	var problem error
	for _, parts := range checkpoints(files) {
		r := replayFrom(nil)
		err := t.readCheckpoint(ctx, r, parts)
		if err == nil {
			return t.replayCommits(ctx, r, parts[0].version, commits)
		}
		if !errors.Is(err, store.ErrCorrupt) || errors.Is(err, errShort) {
			return nil, err
		}
		problem = errors.Join(problem, err) // the commits before it may still be there
	}
	s, err := t.replayCommits(ctx, replayFrom(nil), -1, commits)
	if err != nil && problem != nil {
		return nil, problem
	}
	if err != nil && slices.ContainsFunc(files, func(f logFile) bool { return f.v2 }) {
		return nil, fmt.Errorf("%w: it needs reader feature v2Checkpoint", store.ErrUnsupported)
	}
	return s, err
}

// checkpoints returns the complete checkpoints of a listing, each with its parts in order, the newest first.
func checkpoints(files []logFile) [][]logFile {
	var all [][]logFile
	byKind := map[[2]int64]int{} // version and number of parts
	for _, f := range files {
		if f.commit || f.v2 {
			continue
		}
		kind := [2]int64{f.version, f.parts}
		i, ok := byKind[kind]
		if !ok {
			i = len(all)
			byKind[kind] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], f)
	}
	all = slices.DeleteFunc(all, func(parts []logFile) bool {
		for i, f := range parts { // in the order of their names, so of their numbers
			if f.parts != 0 && f.part != int64(i+1) {
				return true
			}
		}
		return int64(len(parts)) != max(parts[0].parts, 1)
	})
	slices.SortStableFunc(all, func(a, b []logFile) int { return int(b[0].version - a[0].version) })
	return all
}

// A gapError reports a log in which a commit is missing.
type gapError struct {
	missing, next int64
}

// Error implements error.
func (e *gapError) Error() string {
	return fmt.Sprintf("commit %d is missing, and there is commit %d: %s has to be brought back", e.missing, e.next,
		commitName(e.missing))
}

// Unwrap implements the protocol of the errors package.
func (e *gapError) Unwrap() error { return store.ErrCorrupt }

// replayCommits applies the commits after a version, and finishes.
func (t *Table) replayCommits(ctx context.Context, r *replay, version int64, commits []logFile) (*Snapshot, error) {
	base := slices.IndexFunc(commits, func(f logFile) bool { return f.version == version })
	if base >= 0 {
		r.snapshot.last = commits[base]
	}
	commits = slices.DeleteFunc(commits, func(f logFile) bool { return f.version <= version })
	for i, f := range commits {
		if want := version + 1 + int64(i); f.version != want {
			return nil, &gapError{want, f.version}
		}
	}
	if version < 0 && len(commits) == 0 {
		return nil, fmt.Errorf("%w: the log has neither commits nor a whole checkpoint", store.ErrCorrupt)
	}
	if base >= 0 && len(commits) == 0 { // only to know when it was made
		if err := t.readTime(ctx, r); err != nil {
			return nil, err
		}
	}
	for chunk := range chunksOf(commits, 4*readers) {
		actions, err := t.readCommits(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for i, f := range chunk {
			if err := r.apply(f, actions[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Bucket.URI(f.Name), err)
			}
		}
	}
	return r.finish()
}

// readTime takes from the commit of a checkpoint's version when it was made. Most writers say so first.
func (t *Table) readTime(ctx context.Context, r *replay) error {
	if info := t.readInfo(ctx, r.snapshot.last); info != nil {
		return r.action(&action{CommitInfo: info})
	}
	actions, err := t.readCommits(ctx, []logFile{r.snapshot.last})
	if err != nil {
		return err
	}
	for _, a := range actions[0] {
		if a.CommitInfo != nil {
			return r.action(&a)
		}
	}
	return nil
}

// firstBytes is how much of a commit is read to see how it begins.
const firstBytes = 4 << 10

// readInfo reads what a commit says of itself in its first line, nil if it says nothing there.
func (t *Table) readInfo(ctx context.Context, f logFile) *CommitInfo {
	r, err := t.Bucket.Get(ctx, f.Name, 0, firstBytes)
	if err != nil {
		return nil
	}
	defer r.Close()
	begin, err := io.ReadAll(r)
	line, _, whole := bytes.Cut(begin, []byte("\n"))
	if err != nil || !whole {
		return nil
	}
	actions, err := decodeCommit(f.Name, bytes.NewReader(line), int64(len(line)))
	if err != nil || len(actions) != 1 {
		return nil
	}
	return actions[0].CommitInfo
}

// chunksOf divides commits into those that are held in memory together: at most so many, and of large ones no
// more than maxChunk bytes, unless one alone has more.
func chunksOf(commits []logFile, most int) iter.Seq[[]logFile] {
	const maxChunk = 64 << 20
	return func(yield func([]logFile) bool) {
		for len(commits) > 0 {
			n, size := 1, commits[0].Size
			for n < min(len(commits), most) && size+commits[n].Size <= maxChunk {
				size += commits[n].Size
				n++
			}
			if !yield(commits[:n]) {
				return
			}
			commits = commits[n:]
		}
	}
}

// readCommits reads and decodes some commits at the same time.
func (t *Table) readCommits(ctx context.Context, commits []logFile) ([][]action, error) {
	actions := make([][]action, len(commits))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, f := range commits {
		g.Go(func() error {
			var err error
			actions[i], _, err = t.readCommit(ctx, f)
			if errors.Is(err, fs.ErrNotExist) { // gone since the listing
				return &gapError{f.version, f.version + 1}
			}
			return err
		})
	}
	return actions, g.Wait()
}

// readCommit reads and decodes a commit, and returns how many bytes it has. The size that f says is the least that has to come.
func (t *Table) readCommit(ctx context.Context, f logFile) (actions []action, size int64, err error) {
	r, err := t.Bucket.Get(ctx, f.Name, 0, -1)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	body := &counter{r: r}
	actions, err = decodeCommit(t.Bucket.URI(f.Name), body, f.Size)
	if body.ended && body.n < f.Size { // what came may lack a half of its last line
		err = t.short(f, body.n)
	}
	return actions, body.n, err
}

// A counter counts what is read, and knows whether that is all.
type counter struct {
	r     io.Reader
	n     int64
	ended bool
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.ended = errors.Is(err, io.EOF)
	return n, err
}

// read returns a whole file of the log, or the first n bytes of a larger one.
func (t *Table) read(ctx context.Context, name string, n int64) ([]byte, error) {
	r, err := t.Bucket.Get(ctx, t.logPath(name), 0, n)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r)
	return body, errors.Join(err, r.Close())
}

// errShort reports a file of the log of which less came than the listing says. A commit that breaks off between two lines
// would decode, and lack rows.
var errShort = fmt.Errorf("%w: a file of the log ends before its end", store.ErrCorrupt)

// short is the error about a file of the log of which less came than the listing says.
func (t *Table) short(f logFile, came int64) error {
	return fmt.Errorf("%s: %w: %d of %d bytes came", t.Bucket.URI(f.Name), errShort, came, f.Size)
}

// logPath is the name in the bucket of a file of the log.
func (t *Table) logPath(name string) string { return path.Join(t.Path, logDir, name) }
