// Trouble is the step of examples/minimal with the same description, for tests: the text of a sample says what happens to it.
//
//	fail WORDS   the sample fails with these words
//	hog          takes memory until the pod is killed for it
//	wait         waits for the end of the run
//	sleep TIME   takes so long, such as 2s
//	note N       the result holds N bytes, to make previews large
//	chat         from now on, the process and a child of it print without a pause to stdout and stderr
//
// A pod that takes the place of another one neither takes memory nor waits.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

var graph = feature.MustGraph(
	feature.Spec{Key: "text", IDColumns: []string{"id"}},
	feature.Spec{Key: "text/length", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "text"}}},
)

type text struct {
	Body string `arrow:"body"`
}

type length struct {
	Bytes int64  `arrow:"bytes"`
	Note  string `arrow:"note"`
}

var (
	hoard [][]byte
	chat  = sync.OnceFunc(startChat)
)

func measure(ctx context.Context, t text) (length, error) {
	out := length{Bytes: int64(len(t.Body))}
	verb, rest, _ := strings.Cut(t.Body, " ")
	switch verb {
	case "fail":
		return out, errors.New(rest)
	case "hog":
		for !replaced() {
			hoard = append(hoard, bytes.Repeat([]byte{1}, 8<<20))
		}
	case "wait":
		if !replaced() {
			<-ctx.Done()
			return out, ctx.Err()
		}
	case "sleep":
		d, err := time.ParseDuration(rest)
		if err != nil {
			return out, err
		}
		time.Sleep(d)
	case "note":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return out, err
		}
		out.Note = strings.Repeat("note ", n/5)
	case "chat":
		chat()
	}
	return out, nil
}

// replaced reports whether Kubernetes has counted an end of an earlier pod of the same shard, by itself or by a disruption.
func replaced() bool {
	return os.Getenv("FAILURES") > "0" || os.Getenv("DISRUPTIONS") > "0"
}

// chatter is the argument by which the program runs as a child that does nothing but print.
const chatter = "chatter"

func startChat() {
	child := exec.Command(os.Args[0], chatter)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		panic(err)
	}
	go printAll("parent")
}

func printAll(who string) {
	line := strings.Repeat("noise ", 40)
	for i := 0; ; i++ {
		fmt.Fprintf(os.Stdout, "%s %d out %s\n", who, i, line)
		fmt.Fprintf(os.Stderr, "%s %d err %s\n", who, i, line)
		if i%50 == 0 {
			fmt.Fprint(os.Stderr, "progress without an end of its line ")
			time.Sleep(time.Millisecond)
		}
	}
}

var step = metaxy.Step{Graph: graph, Feature: "text/length", Process: metaxy.Each(measure)}

func main() {
	if len(os.Args) == 2 && os.Args[1] == chatter {
		printAll("child")
	}
	metaxy.Main(step)
}
