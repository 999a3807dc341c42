// Command licences lists the modules that a Go binary is made of, with the licences that stand in the files of each:
//
//	go run ./licences BINARY
//
// A module without a licence file, or with words of a licence that is not among those that the product may carry, is an error
// that names it. It looks into the module cache, and needs no network.
package main

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// A sign is a phrase by which a licence is known.
type sign struct {
	licence string
	words   string
	allowed bool
}

var signs = []sign{
	{"Apache-2.0", "apache license version 2.0", true},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy", true},
	{"BSD", "redistribution and use in source and binary forms", true},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose", true},
	{"Unlicense", "this is free and unencumbered software released into the public domain", true},
	{"GPL", "gnu general public license", false},
	{"AGPL", "gnu affero general public license", false},
	{"LGPL", "gnu lesser general public license", false},
	{"MPL", "mozilla public license", false},
	{"SSPL", "server side public license", false},
	{"BUSL", "business source license", false},
	{"Commons Clause", "commons clause", false},
}

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)`)
	spaces      = regexp.MustCompile(`[\s,]+`)
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: licences BINARY")
		os.Exit(4)
	}
	if err := list(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// list prints one line for each module, sorted, and then what is wrong.
func list(binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	var wrong error
	slices.SortFunc(info.Deps, func(a, b *debug.Module) int { return cmp.Compare(a.Path, b.Path) })
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		found, err := licencesOf(m)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", m.Path, err))
		}
		fmt.Printf("%s: %s\n", m.Path, strings.Join(found, ", "))
	}
	return wrong
}

// licencesOf reads the licence files at the top of a module.
func licencesOf(m *debug.Module) (found []string, err error) {
	folder, err := folderOf(m)
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	text := ""
	for _, f := range files {
		if !licenceFile.MatchString(f.Name()) || f.IsDir() {
			continue
		}
		body, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			return nil, err
		}
		text += " " + normal(string(body))
	}
	for _, s := range signs {
		if !strings.Contains(text, normal(s.words)) {
			continue
		}
		found = append(found, s.licence)
		if !s.allowed {
			err = errors.Join(err, fmt.Errorf("the product may not carry what is under %s", s.licence))
		}
	}
	if len(found) == 0 {
		err = fmt.Errorf("no licence is known in %s: %w", folder, fs.ErrNotExist)
	}
	return found, err
}

// folderOf is where the module cache has a module.
func folderOf(m *debug.Module) (string, error) {
	if strings.HasPrefix(m.Path, ".") || filepath.IsAbs(m.Path) { // what replaces it is a folder
		return m.Path, nil
	}
	out, err := exec.Command("go", "mod", "download", "-json", m.Path+"@"+m.Version).Output()
	if err != nil {
		return "", fmt.Errorf("not in the module cache: %w", err)
	}
	_, rest, _ := strings.Cut(string(out), `"Dir": "`)
	folder, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return "", fmt.Errorf("not in the module cache: %w", fs.ErrNotExist)
	}
	return folder, nil
}

// normal is a text of which only the words count.
func normal(text string) string { return spaces.ReplaceAllString(strings.ToLower(text), " ") }
