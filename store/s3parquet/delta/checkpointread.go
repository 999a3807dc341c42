package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/metaxy-pipes/metaxy-pipes/internal/machine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

// orderKey and orderCommit are the entry in the footer of a checkpoint by which it says that its add rows stand in
// commit order.
const (
	orderKey    = "metaxy-pipes.add-order"
	orderCommit = "commit"
)

// removalKey is the entry in the footer of a checkpoint that holds Snapshot.Removal.
const removalKey = "metaxy-pipes.removal"

// readCheckpoint takes over the state that a checkpoint holds.
func (t *Table) readCheckpoint(ctx context.Context, r *replay, parts []logFile) error {
	r.snapshot.Version, r.snapshot.Time = parts[0].version, parts[0].ModTime
	r.snapshot.Removal = parts[0].version // what came before it nobody knows, unless it says so
	ordered := true
	var adds []*Add
	for _, part := range parts {
		uri := t.Bucket.URI(part.Name)
		body, err := t.readPart(ctx, part)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is gone", store.ErrCorrupt, uri)
		}
		if err != nil {
			return err
		}
		want := wholeCheckpoint
		if len(parts) == 1 {
			want = withoutTombstones
		}
		footer, err := decodeCheckpoint(body, want, func(a *action) error {
			if a.Add != nil {
				adds = append(adds, a.Add)
				return nil
			}
			return r.action(a)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", uri, err)
		}
		ordered = ordered && footer.ordered
		if footer.removal != nil && len(parts) == 1 {
			r.snapshot.Removal = *footer.removal
		}
		if want == withoutTombstones && footer.removes >= 0 {
			r.snapshot.older = laterRemoves(uri, body)
		}
	}
	if !ordered {
		slices.SortStableFunc(adds, func(a, b *Add) int {
			return cmp.Or(cmp.Compare(a.ModificationTime, b.ModificationTime), cmp.Compare(a.Path, b.Path))
		})
	}
	for _, a := range adds {
		if err := r.add(a); err != nil {
			return err
		}
	}
	return nil
}

// readPart returns the file of a checkpoint.
func (t *Table) readPart(ctx context.Context, f logFile) ([]byte, error) {
	limit := max(maxCheckpoint, machine.DefaultLimit())
	if f.Size > limit {
		return nil, fmt.Errorf("%s: %w: a checkpoint of %d bytes, of which a quarter of the memory has %d", t.Bucket.URI(f.Name),
			store.ErrUnsupported, f.Size, limit)
	}
	body, err := t.read(ctx, path.Base(f.Name), limit)
	if err == nil && int64(len(body)) < f.Size {
		err = t.short(f, int64(len(body)))
	}
	return body, err
}

// A checkpointFooter is what our checkpoints say of themselves.
type checkpointFooter struct {
	ordered bool   // its adds are in commit order
	removal *int64 // Snapshot.Removal; nil means not known
	removes int64  // the first row from which on there are tombstones alone; -1 if it does not say
}

// footerOf reads what a checkpoint says of itself. What makes no sense is not said.
func footerOf(f *columnar.File) checkpointFooter {
	order, _ := f.Note(orderKey)
	footer := checkpointFooter{ordered: order == orderCommit, removes: -1}
	if text, ok := f.Note(removalKey); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			footer.removal = &n
		}
	}
	if text, ok := f.Note(removesKey); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 && n <= f.NumRows() {
			footer.removes = n
		}
	}
	return footer
}

// A checkpointPart is what is wanted of a checkpoint.
type checkpointPart int

const (
	wholeCheckpoint   checkpointPart = iota
	withoutTombstones                // those that stand by themselves
	tombstones                       // those alone
)

// rows returns the rows of a part: from one on, and up to another one.
func (p checkpointPart) rows(f *columnar.File, footer checkpointFooter) (from, to int64) {
	switch all := f.NumRows(); {
	case p == withoutTombstones && footer.removes >= 0:
		return 0, footer.removes
	case p == tombstones && footer.removes >= 0:
		return footer.removes, all
	case p == tombstones:
		return all, all
	default:
		return 0, all
	}
}

// decodeCheckpoint calls fn for each action in a part of a checkpoint file.
func decodeCheckpoint(body []byte, part checkpointPart, fn func(*action) error) (checkpointFooter, error) {
	f, err := openCheckpoint(body)
	if err != nil {
		return checkpointFooter{}, err
	}
	footer := footerOf(f)
	from, to := part.rows(f, footer)
	return footer, readRecords(f, int64(len(body)), from, to, func(record map[string]any) error {
		a, err := actionFromRecord(record)
		if err != nil {
			return err
		}
		return fn(a)
	})
}

// record gives access to the members of an action in a checkpoint. Members that are missing or of another type have
// their zero value.
type record map[string]any

func (r record) text(name string) string   { s, _ := r[name].(string); return s }
func (r record) number(name string) int64  { n, _ := r[name].(int64); return n }
func (r record) bool(name string) bool     { b, _ := r[name].(bool); return b }
func (r record) record(name string) record { m, _ := r[name].(map[string]any); return m }

// textOrNil and numberOrNil tell null from the zero value.
func (r record) textOrNil(name string) *string {
	if s, ok := r[name].(string); ok {
		return &s
	}
	return nil
}

func (r record) numberOrNil(name string) *int64 {
	if n, ok := r[name].(int64); ok {
		return &n
	}
	return nil
}

func (r record) texts(name string) []string {
	list, ok := r[name].([]any)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

func (r record) pointers(name string) map[string]*string {
	m := r.record(name)
	out := make(map[string]*string, len(m))
	for k := range m {
		out[k] = m.textOrNil(k)
	}
	return out
}

func (r record) strings(name string) map[string]string {
	m := r.record(name)
	out := make(map[string]string, len(m))
	for k := range m {
		out[k] = m.text(k)
	}
	return out
}

// actionFromRecord reads a row of a checkpoint, in which one column is not null.
func actionFromRecord(columns map[string]any) (*action, error) {
	row := record(columns)
	a := &action{}
	switch {
	case row["add"] != nil:
		a.Add = addFromRecord(row.record("add"))
	case row["remove"] != nil:
		r := row.record("remove")
		a.Remove = &Remove{Path: r.text("path"), DeletionTimestamp: r.numberOrNil("deletionTimestamp"),
			DataChange: r.bool("dataChange"), Size: r.numberOrNil("size"), Stats: r.text("stats")}
		if r.bool("extendedFileMetadata") {
			extended := true
			a.Remove.ExtendedFileMetadata, a.Remove.PartitionValues = &extended, r.pointers("partitionValues")
		}
	case row["metaData"] != nil:
		r := row.record("metaData")
		format := r.record("format")
		a.MetaData = &MetaData{ID: r.text("id"), Name: r.textOrNil("name"), Description: r.textOrNil("description"),
			Format:       Format{Provider: format.text("provider"), Options: format.strings("options")},
			SchemaString: r.text("schemaString"), PartitionColumns: r.texts("partitionColumns"),
			CreatedTime: r.numberOrNil("createdTime"), Configuration: r.strings("configuration")}
	case row["protocol"] != nil:
		r := row.record("protocol")
		a.Protocol = &Protocol{MinReaderVersion: int32(r.number("minReaderVersion")),
			MinWriterVersion: int32(r.number("minWriterVersion")),
			ReaderFeatures:   r.texts("readerFeatures"), WriterFeatures: r.texts("writerFeatures")}
	case row["txn"] != nil:
		r := row.record("txn")
		a.Txn = &Txn{AppID: r.text("appId"), Version: r.number("version"), LastUpdated: r.numberOrNil("lastUpdated")}
	case row["sidecar"] != nil:
		return nil, fmt.Errorf("%w: it needs reader feature v2Checkpoint", store.ErrUnsupported)
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("%w: checkpoint: %w", store.ErrCorrupt, err)
	}
	return a, nil
}

func addFromRecord(r record) *Add {
	a := &Add{Path: r.text("path"), PartitionValues: r.pointers("partitionValues"), Size: r.number("size"),
		ModificationTime: r.number("modificationTime"), DataChange: r.bool("dataChange"), Stats: r.text("stats")}
	if r["tags"] != nil {
		a.Tags = r.pointers("tags")
	}
	if r["deletionVector"] != nil {
		a.DeletionVector = []byte("{}") // that there is one is all that matters
	}
	return a
}
