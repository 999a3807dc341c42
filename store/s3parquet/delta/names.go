package delta

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// logDir is the folder of the log in the folder of a table.
const logDir = "_delta_log"

// commitName and checkpointName name the log's files of a version.
func commitName(version int64) string     { return fmt.Sprintf("%020d.json", version) }
func checkpointName(version int64) string { return fmt.Sprintf("%020d.checkpoint.parquet", version) }

var logName = regexp.MustCompile(
	`^(\d{20})(?:(\.json)|\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet|\.checkpoint\.([0-9a-fA-F-]{36})\.(?:json|parquet))$`)

// A logFile is a file of the log that matters for replay.
type logFile struct {
	bucket.Object
	version int64
	commit  bool  // a commit; else a checkpoint
	part    int64 // of a checkpoint in several parts, counted from 1; 0 means that there is one part
	parts   int64
	v2      bool // a checkpoint of the second kind, with a UUID in its name
}

// parseLogName says what a file of the log is, by its name without folder.
func parseLogName(name string, o bucket.Object) (logFile, bool) {
	m := logName.FindStringSubmatch(name)
	if m == nil {
		return logFile{}, false
	}
	f := logFile{Object: o, commit: m[2] != "", v2: m[5] != ""}
	var err error
	if f.version, err = strconv.ParseInt(m[1], 10, 64); err != nil {
		return logFile{}, false // beyond 2^63
	}
	if m[3] != "" {
		f.part, _ = strconv.ParseInt(m[3], 10, 64) // ten digits
		f.parts, _ = strconv.ParseInt(m[4], 10, 64)
	}
	return f, true
}
