// Command configjson reads configurations and prints what it makes of them, so that a test can compare that with what
// Metaxy makes of the same files: one request a line on standard input, one answer a line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"

	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// A request is a folder to look for a configuration in, the environment, and the store to open.
type request struct {
	Dir     string
	Environ []string
	Store   string
}

// An answer is the effective configuration and the store, or why there is none.
type answer struct {
	Error    string   `json:"error,omitempty"` // of the whole configuration
	Warnings []string `json:"warnings,omitempty"`
	Settings settings `json:"settings"`
	Store    *opened  `json:"store,omitempty"`
	Refused  string   `json:"refused,omitempty"` // why the store cannot be opened
}

type settings struct {
	File      string   `json:"file"`
	Store     string   `json:"store"`
	Project   *string  `json:"project"`
	Length    int      `json:"length"`
	Sync      bool     `json:"sync"`
	Locked    bool     `json:"locked"`
	Lock      string   `json:"lock"`
	Stores    []string `json:"stores"`
	Selection []any    `json:"selection"`
}

type opened struct {
	Root      string   `json:"root"`
	Flat      bool     `json:"flat"`
	Algorithm string   `json:"algorithm"`
	Fallbacks []string `json:"fallbacks"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var r request
		err := json.Unmarshal(in.Bytes(), &r)
		if err == nil {
			err = os.Chdir(r.Dir)
		}
		if err == nil {
			err = out.Encode(read(r))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func read(r request) answer {
	c, err := config.Load(config.Source{Dir: r.Dir, Environ: r.Environ})
	if err != nil {
		return answer{Error: err.Error()}
	}
	a := answer{Warnings: c.Warnings, Settings: settings{
		File: c.Path, Store: c.Store, Length: c.HashTruncationLength, Sync: c.Sync, Locked: c.Locked, Stores: []string{},
		Selection: []any{},
	}}
	if c.Project != "" {
		a.Settings.Project = &c.Project
	}
	if c.Path != "" || c.LockPath != "" {
		a.Settings.Lock, _ = c.LockFile()
	}
	for name := range c.Stores {
		a.Settings.Stores = append(a.Settings.Stores, name)
	}
	for _, s := range c.ExtraFeatures {
		a.Settings.Selection = append(a.Settings.Selection, map[string]any{"all": s.All, "projects": s.Projects, "keys": s.Keys})
	}
	sc, err := c.Locate(r.Store)
	if err != nil {
		a.Refused = err.Error()
		return a
	}
	st, err := c.OpenStore(context.Background(), sc)
	if err != nil {
		a.Refused = err.Error()
		return a
	}
	defer st.Close()
	a.Store = &opened{Flat: sc.Flat, Algorithm: string(c.Hashing(sc).Algorithm), Fallbacks: sc.Fallbacks}
	if s, ok := store.Local(st).(*s3parquet.Store); ok {
		a.Store.Root = s.Location()
		if u, err := url.Parse(s.Location()); err == nil && u.Scheme == "file" {
			a.Store.Root = u.Path
		}
	}
	if a.Store.Fallbacks == nil {
		a.Store.Fallbacks = []string{}
	}
	return a
}
