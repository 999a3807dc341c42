package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// worstSkew is how far the storage's clock may be from ours: the later of two rows of a sample is told by their times.
const worstSkew = 5 * time.Second

// probeStore checks a store from outside its tables. It reports false when the tables cannot be looked at.
func probeStore(ctx context.Context, sc config.StoreConfig) ([]finding, bool) {
	b, err := sc.OpenBucket(ctx)
	if err != nil {
		return []finding{{"store", false, err.Error(), adviceFor(err)}}, false
	}
	made := absentFolders(b.URI("_metaxy_doctor"))
	findings, ok := probeBucket(ctx, b)
	for _, folder := range made {
		// A folder into which somebody wrote meanwhile is not empty, and stays.
		_ = os.Remove(folder)
	}
	if err := b.Close(); err != nil {
		findings = append(findings, finding{"close", false, err.Error(), ""})
	}
	return findings, ok
}

// absentFolders are the local folder that a location means and those above it that are not there, the deepest first. The
// probe makes them, and they are to go with it.
func absentFolders(location string) []string {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "file" {
		return nil
	}
	var absent []string
	for path := filepath.FromSlash(u.Path); ; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return absent
		}
		absent = append(absent, path)
	}
}

func probeBucket(ctx context.Context, b bucket.Bucket) (findings []finding, ok bool) {
	for _, err := range b.List(ctx, "_metaxy_doctor/", "") {
		if err != nil {
			return []finding{{"store", false, err.Error(), adviceFor(err)}}, false
		}
		break
	}
	findings = append(findings, finding{"store", true, b.URI("") + " can be listed", ""})
	suffix := make([]byte, 8)
	if _, err := rand.Read(suffix); err != nil {
		return append(findings, finding{"write", false, err.Error(), ""}), true
	}
	name := "_metaxy_doctor/" + hex.EncodeToString(suffix)
	return append(findings, probeObject(ctx, b, name)...), true
}

// probeObject creates an object, tries to create it again, reads it, compares its time with ours, and removes it.
func probeObject(ctx context.Context, b bucket.Bucket, name string) (findings []finding) {
	body := []byte("metaxy-pipes doctor; may be deleted\n")
	before := time.Now()
	if err := b.Create(ctx, name, body); err != nil {
		return []finding{{"write", false, err.Error(), adviceFor(err)}}
	}
	after := time.Now()
	findings = append(findings, finding{"write", true, "an object can be created", ""})
	switch err := b.Create(ctx, name, []byte("second")); {
	case errors.Is(err, fs.ErrExist):
		findings = append(findings, finding{"put-if-absent", true, "creating the same object twice is refused", ""})
	case err == nil:
		findings = append(findings, finding{"put-if-absent", false, "an object was created twice",
			"this storage ignores If-None-Match: two writers can lose each other's rows; use one that supports conditional " +
				"writes"})
	default:
		findings = append(findings, finding{"put-if-absent", false, err.Error(), adviceFor(err)})
	}
	findings = append(findings, probeRead(ctx, b, name, body), probeClock(ctx, b, name, before, after))
	if err := b.Delete(ctx, name); err != nil {
		findings = append(findings, finding{"delete", false, err.Error(), "remove " + b.URI(name) + " by hand"})
	}
	return findings
}

func probeRead(ctx context.Context, b bucket.Bucket, name string, body []byte) finding {
	r, err := b.Get(ctx, name, 0, -1)
	if err != nil {
		return finding{"read", false, err.Error(), adviceFor(err)}
	}
	got, err := io.ReadAll(r)
	err = errors.Join(err, r.Close())
	if err == nil && string(got) != string(body) {
		err = errors.New("an object reads back with other content than was written")
	}
	if err != nil {
		return finding{"read", false, err.Error(), adviceFor(err)}
	}
	return finding{"read", true, "an object reads back as it was written", ""}
}

func probeClock(ctx context.Context, b bucket.Bucket, name string, before, after time.Time) finding {
	for obj, err := range b.List(ctx, name, "") {
		if err != nil {
			return finding{"clock", false, err.Error(), adviceFor(err)}
		}
		skew := time.Duration(0)
		// The storage tells whole seconds only.
		if early := before.Truncate(time.Second).Sub(obj.ModTime); early > 0 {
			skew = early
		} else if late := obj.ModTime.Sub(after); late > 0 {
			skew = late
		}
		if skew > worstSkew {
			detail := fmt.Sprintf("this machine's clock and the storage's differ by %s", skew.Round(time.Second))
			return finding{"clock", false, detail,
				"set the clock, for instance by NTP: the later of two rows of a sample is told by their times"}
		}
		return finding{"clock", true, fmt.Sprintf("differs from the storage's by less than %s", worstSkew), ""}
	}
	return finding{"clock", false, "the object that was written is not listed", "check that the credentials allow listing"}
}

// adviceFor says what to do about an error of a storage.
func adviceFor(err error) string {
	text := strings.ToLower(err.Error())
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case strings.Contains(text, ": check ") || strings.Contains(text, "create it"): // it says so itself
		return ""
	case errors.Is(err, fs.ErrPermission), strings.Contains(text, "accessdenied"), strings.Contains(text, "forbidden"),
		strings.Contains(text, "signaturedoesnotmatch"), strings.Contains(text, "invalidaccesskeyid"):
		return "the storage refuses these credentials: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, and the " +
			"permissions to list, read, write and delete"
	case strings.Contains(text, "nosuchbucket"):
		return "there is no such bucket: create it, or mend the location"
	case strings.Contains(text, "credential"):
		return "no credentials are found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or storage_options"
	case errors.As(err, &dns), errors.As(err, &op), strings.Contains(text, "connection refused"),
		strings.Contains(text, "no such host"):
		return "the storage cannot be reached: check AWS_ENDPOINT_URL, the region and the network"
	}
	return "check the location and the permissions"
}

// tableFindings looks at the hashing and the table of each feature.
func (a *app) tableFindings(ctx context.Context, e *Env) []finding {
	if e.Graph == nil {
		return nil
	}
	st, h, err := a.openStore(ctx, e)
	if err != nil {
		return []finding{{"store", false, err.Error(), adviceFor(err)}}
	}
	var findings []finding
	hashing, err := settle(ctx, st, e.Graph, h, e.Log)
	if err != nil {
		findings = append(findings, finding{"hashing", false, err.Error(), ""})
	}
	for f := range e.Graph.All() {
		findings = append(findings, tableFinding(ctx, st, f, hashing))
	}
	if err := st.Close(); err != nil {
		findings = append(findings, finding{"close", false, err.Error(), ""})
	}
	return findings
}

func tableFinding(ctx context.Context, st store.Reader, f *feature.Feature, h engine.Hashing) finding {
	name := "table " + string(f.Key())
	snap, err := st.Snapshot(ctx, f.Key())
	if errors.Is(err, store.ErrNoTable) {
		return finding{name, true, "none yet", ""}
	}
	if err != nil {
		return finding{name, false, err.Error(), adviceForTable(err)}
	}
	if err := h.Check(snap, f.Key()); err != nil {
		return finding{name, false, err.Error(), ""}
	}
	detail := fmt.Sprintf("version %d, hashes are not recorded", snap.Version())
	if recorded, ok, err := engine.RecordedHashing(snap); ok && err == nil {
		detail = fmt.Sprintf("version %d, %s", snap.Version(), recorded)
	}
	found := finding{name, true, detail, ""}
	if w, ok := snap.(interface{ Writable() error }); ok && w.Writable() != nil {
		found.Detail += "; it can be read only: " + w.Writable().Error()
		if found.OK = f.Root(); !found.OK { // what others feed, they write
			found.Advice = adviceForTable(w.Writable())
		}
	}
	return withStray(ctx, st, f, found)
}

// strayAge is how old a file must be that no version names: younger ones may belong to a commit that is under way.
const strayAge = time.Hour

// withStray adds to the finding about a table what killed writers have left in its folder.
func withStray(ctx context.Context, st store.Reader, f *feature.Feature, found finding) finding {
	s, ok := store.Local(st).(interface {
		Stray(context.Context, feature.Key, time.Time) (int, int64, error)
	})
	if !ok {
		return found
	}
	files, bytes, err := s.Stray(ctx, f.Key(), time.Now().Add(-strayAge))
	switch {
	case err != nil:
		return finding{found.Check, false, err.Error(), adviceFor(err)}
	case files > 0:
		found.Detail += fmt.Sprintf("; %d files of %d bytes that no version names", files, bytes)
		found.Advice = "killed writers have left them; they harm nothing but the bill, and vacuum removes them"
	}
	return found
}

func adviceForTable(err error) string {
	switch {
	case errors.Is(err, store.ErrUnsupported):
		return "the table was written with a feature of Delta Lake that is not supported here"
	case errors.Is(err, store.ErrCorrupt):
		return "the table is damaged: restore its folder from a backup"
	}
	return adviceFor(err)
}
