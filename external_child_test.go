package metaxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// playChild is an external processor that does what its role says. State between two lives of it is in the file that
// METAXY_TEST_STATE names.
func playChild(role string) int {
	if strings.HasPrefix(role, "arrow") {
		return playArrow(role == "arrow dies")
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	var held []map[string]any
	for in.Scan() {
		var s map[string]any
		dec := json.NewDecoder(strings.NewReader(in.Text()))
		dec.UseNumber()
		if err := dec.Decode(&s); err != nil {
			fmt.Fprintln(os.Stderr, "bad line:", err)
			return 9
		}
		if code, done := act(role, s, &held); done {
			return code
		}
	}
	if role == "stays" {
		time.Sleep(time.Hour)
	}
	return 0
}

// act answers one sample.
func act(role string, s map[string]any, held *[]map[string]any) (code int, done bool) {
	id := s["id"]
	bad := strings.HasPrefix(fmt.Sprint(id), "bad")
	switch role {
	case "reverse": // three at a time, backwards
		if *held = append(*held, s); len(*held) == 3 {
			for i := 2; i >= 0; i-- {
				reply(map[string]any{"id": (*held)[i]["id"], "crop": fmt.Sprint("r", (*held)[i]["id"])})
			}
			*held = nil
		}
		return 0, false
	case "error":
		if bad {
			reply(map[string]any{"id": id, "error": "cannot decode: \"moov\"\nmissing"})
			return 0, false
		}
	case "dies":
		if bad {
			fmt.Fprintln(os.Stderr, "out of memory")
			return 137, true
		}
	case "dies once":
		if bad && first() {
			return 1, true
		}
	case "exits":
		if bad {
			return 0, true
		}
	case "hangs":
		if bad {
			sleeper := exec.Command("sleep", "3600")
			sleeper.Stdout = os.Stdout // holds the pipe open after its parent is gone
			if err := sleeper.Start(); err != nil {
				return 1, true
			}
			note(fmt.Sprint(sleeper.Process.Pid))
			time.Sleep(time.Hour)
		}
	case "garbage":
		if bad {
			fmt.Println("Loading checkpoint shards: 100%")
		}
	case "foreign":
		if bad {
			reply(map[string]any{"id": "nobody", "crop": "x"})
			return 0, false
		}
	case "twice":
		if bad {
			reply(map[string]any{"id": id, "crop": "x"})
		}
	case "no id":
		if bad {
			reply(map[string]any{"crop": "x"})
			return 0, false
		}
	case "echo": // everything that came, and more
		s["crop"] = "e"
		s["env"] = os.Getenv("DAGSTER_PIPES_CONTEXT") + os.Getenv("DAGSTER_PIPES_MESSAGES")
		reply(s)
		return 0, false
	case "types":
		reply(types(id))
		return 0, false
	case "versions":
		reply(map[string]any{"id": id, "crop": "x", "metaxy_data_version_by_field": map[string]any{"default": "mine"}})
		return 0, false
	case "wrong versions":
		reply(map[string]any{"id": id, "metaxy_data_version_by_field": map[string]any{"audio": "mine"}})
		return 0, false
	case "expand":
		rows := []any{}
		for i := range 3 {
			rows = append(rows, map[string]any{"id": id, "frame": i, "sum": i * 2})
		}
		reply(map[string]any{"id": id, "rows": rows})
		return 0, false
	case "aggregate":
		reply(map[string]any{"id": id, "n": len(s["inputs"].([]any)), "first": s["inputs"].([]any)[0].(map[string]any)["n"]})
		return 0, false
	case "stderr":
		fmt.Fprintf(os.Stderr, "working on %v\nsecond line\n", id)
	}
	reply(map[string]any{"id": id, "crop": fmt.Sprint("x/", id)})
	return 0, false
}

// types is a row whose columns depend on the id.
func types(id any) map[string]any {
	row := map[string]any{"id": id, "empty": nil, "ok": true, "name": "n", "big": json.Number("9007199254740993"), "list": []int{1, 2}}
	if row["score"] = 1; id == "b" {
		row["score"], row["ok"], row["mixed"] = 0.5, nil, "text"
	} else {
		row["mixed"] = 7
	}
	return row
}

func reply(v map[string]any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// first reports whether this is the first life of the child.
func first() bool {
	f, err := os.OpenFile(os.Getenv("METAXY_TEST_STATE"), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

func note(s string) { _ = os.WriteFile(os.Getenv("METAXY_TEST_STATE"), []byte(s), 0o600) }

// playArrow doubles a column, batch by batch; ids that are "bad" fail.
// playArrow answers record batches, each row by its id, status and batch's size. A bad one fails, or kills.
func playArrow(dies bool) int {
	r, err := ipc.NewReader(os.Stdin)
	if err != nil {
		return 1
	}
	var w *ipc.Writer
	for r.Next() {
		rec := r.RecordBatch()
		crops, reasons := array.NewLargeStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		for i := range int(rec.NumRows()) {
			id := column(rec, "id").ValueStr(i)
			if dies && strings.HasPrefix(id, "bad") {
				return 9
			}
			if crops.Append(id + "/" + column(rec, "status").ValueStr(i)); id == "bad" {
				reasons.Append("no frames")
			} else {
				reasons.AppendNull()
			}
		}
		var out sheet
		out.add("id", column(rec, "id"))
		out.add("crop", crops.NewArray())
		out.add("error", reasons.NewArray())
		sizes := array.NewInt64Builder(memory.DefaultAllocator)
		for range rec.NumRows() {
			sizes.Append(rec.NumRows())
		}
		out.add("together", sizes.NewArray())
		answer := out.record(rec.NumRows())
		if w == nil {
			w = ipc.NewWriter(os.Stdout, ipc.WithSchema(answer.Schema()))
		}
		if err := w.Write(answer); err != nil {
			return 2
		}
	}
	if w != nil && w.Close() != nil {
		return 3
	}
	return 0
}

// alive reports whether a process is there.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
