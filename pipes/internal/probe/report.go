package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// moment is the time of all timestamps.
var moment = time.Date(2024, 2, 29, 12, 30, 0, 250_000_000, time.UTC)

// everyType holds a value of every metadata type, with the cases that are easy to get wrong.
func everyType() pipes.Metadata {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	columns := []pipes.Column{
		{
			Name: "id", Type: "string", Description: "who", Required: true, Unique: true,
			Constraints: []string{"not blank"},
		},
		{Name: "score", Type: "double", Tags: map[string]string{"unit": "points"}},
	}
	return pipes.Metadata{
		"text":      pipes.Text("plain\nÜber 🎬 \u2028 \u0085 <&> \"quoted\""),
		"url":       pipes.URL("https://dagster.io/?a=1&b=2"),
		"path":      pipes.Path("s3://bucket/key"),
		"notebook":  pipes.Notebook("/n.ipynb"),
		"md":        pipes.Markdown("# title"),
		"json":      pipes.JSON(map[string]any{"a": []any{1, "x", nil, true, 2.5}}),
		"json_list": pipes.JSON([]int{1, 2}),
		"float":     pipes.Float(1),
		"fraction":  pipes.Float(0.1),
		"large":     pipes.Float(1e21),
		"zero":      pipes.Float(0),
		"int":       pipes.Int(-9007199254740993),
		"uint":      pipes.Uint(18446744073709551615),
		"huge":      pipes.BigInt(huge),
		"bool":      pipes.Bool(true),
		"run":       pipes.DagsterRun("c0ffee00-0000-4000-8000-000000000000"),
		"asset":     pipes.Asset("up", "stream"),
		"null":      pipes.Null(),
		"moment":    pipes.Timestamp(moment),
		"table": pipes.Table(columns, []map[string]any{
			{"id": "a", "score": 1.0}, {"id": "b", "score": nil},
		}),
		"schema": pipes.TableSchema(columns...),
		"lineage": pipes.ColumnLineage(map[string][]pipes.ColumnSource{
			"score": {{Asset: []string{"up", "s/t"}, Column: "raw"}},
		}),
		"infer_text":  pipes.Infer("guess"),
		"infer_int":   pipes.Infer(7),
		"infer_float": pipes.Infer(7.0),
		"infer_bool":  pipes.Infer(false),
		"infer_null":  pipes.Infer(nil),
		"infer_json":  pipes.Infer([]any{"a", 1}),
	}
}

// everything sends every kind of message.
func everything(ctx context.Context, s *pipes.Session) error {
	log := s.Logger()
	log.Debug("fine grained")
	log.Info("informed", "key", "a value", "n", 1)
	log.WithGroup("g").With("inside", true).Warn("warned")
	log.Error("erred", "err", errors.New("boom"))
	log.Log(ctx, pipes.LevelCritical, "critical")
	return errors.Join(
		s.Forward(ctx, pipes.Stdout, "forwarded to stdout\n"),
		s.Forward(ctx, pipes.Stderr, "forwarded to stderr\n"),
		s.Send(ctx, map[string]any{"rows": 3, "big": uint64(18446744073709551615), "text": "Ünï🎬"}),
		s.Check(ctx, pipes.CheckResult{Name: "present", Passed: true, Metadata: pipes.Metadata{"n": pipes.Int(1)}}),
		s.Check(ctx, pipes.CheckResult{Name: "fresh", Severity: pipes.SeverityWarn}),
		s.Materialize(ctx, pipes.Materialization{DataVersion: "v-1", Metadata: everyType()}),
	)
}

// reference makes the calls that the tests make with Python's dagster_pipes too.
func reference(ctx context.Context, s *pipes.Session) error {
	s.Logger().Info("hello Ünï🎬")
	s.Logger().Warn("careful")
	return errors.Join(
		s.Check(ctx, pipes.CheckResult{Name: "present", Passed: true}),
		s.Check(ctx, pipes.CheckResult{Name: "fresh", Severity: pipes.SeverityWarn, Metadata: everyType()}),
		s.Send(ctx, []any{1, 2.5, "x", nil, map[string]any{"k": uint64(18446744073709551615)}}),
		s.Forward(ctx, pipes.Stderr, "partial"),
		s.Materialize(ctx, pipes.Materialization{DataVersion: "v-1", Metadata: everyType()}),
	)
}

// versions reports every asset in scope, with its key in the data version.
func versions(ctx context.Context, s *pipes.Session) error {
	for _, key := range s.Data().AssetKeys {
		if err := s.Materialize(ctx, pipes.Materialization{AssetKey: key, DataVersion: "of " + key}); err != nil {
			return err
		}
	}
	return nil
}

// describeContext sends the context back as the session understood it.
func describeContext(ctx context.Context, s *pipes.Session) error {
	var exact struct {
		N any `json:"n"`
	}
	if _, err := s.Extra("exact", &exact); err != nil {
		return err
	}
	key, keyErr := s.Data().PartitionKey()
	window, windowErr := s.Data().PartitionTimeWindow()
	return s.Send(ctx, map[string]any{
		"context": s.Data(), "exact": exact.N, "partition": key, "window": window,
		"scope_errors": []bool{errors.Is(keyErr, pipes.ErrScope), errors.Is(windowErr, pipes.ErrScope)},
	})
}

// parallel reports from many goroutines at once.
func parallel(ctx context.Context, s *pipes.Session) error {
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				s.Logger().Info(fmt.Sprintf("parallel %d.%d", worker, i))
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
