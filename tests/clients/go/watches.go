// The scenarios of watches, for every stack.

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	jobgate "jobgate.dev/gen/jobgate/v1"
)

// noneLeft asks whether no watch is left at the gateway, although the connection lives.
func noneLeft() { same(ask("watchers"), "0") }

func deadline(s stack) {
	client := s.dial(address, secret, true)
	ctx, cancel := context.WithTimeout(always, 300*time.Millisecond)
	defer cancel()
	_, err := client.Get(ctx, "p", "slow")
	fails(s, err, "DEADLINE_EXCEEDED", "")
	ctx, cancel = context.WithTimeout(always, 2*time.Second)
	defer cancel()
	var first *jobgate.Job
	for response, err := range client.watchOnce(ctx, "endless", "") {
		if err != nil {
			same(first.GetStatusText(), "RUNNING")
			fails(s, err, "DEADLINE_EXCEEDED", "")
			noneLeft()
			return
		}
		if first == nil {
			first = response.GetJob()
		}
	}
	panic("the watch ended OK")
}

func cancelAfterBegin(s stack) {
	ctx, cancel := context.WithCancel(always)
	time.AfterFunc(100*time.Millisecond, cancel)
	var err error
	for _, end := range s.dial(address, secret, true).watchOnce(ctx, "slow", "") {
		err = end
	}
	fails(s, err, "CANCELLED", "")
	noneLeft()
}

func cancelAfterFirstResponse(s stack) {
	ctx, cancel := context.WithCancel(always)
	defer cancel()
	for response, err := range s.dial(address, secret, true).watchOnce(ctx, "endless", "") {
		if err != nil {
			fails(s, err, "CANCELLED", "")
			noneLeft()
			return
		}
		if ctx.Err() == nil {
			same(response.GetJob().GetStatusText(), "RUNNING")
		}
		cancel()
	}
	panic("the watch ended OK")
}

func watchToEnd(s stack) {
	var states []string
	var last time.Time
	for response, err := range s.dial(address, secret, true).Watch(always, "p", ask("backup")) {
		must(err)
		if job := response.GetJob(); job != nil {
			states = append(states, job.StatusText)
		}
		same(response.ResumeToken != "", true)
		same(response.ObserveTime.AsTime().Before(last), false)
		last = response.ObserveTime.AsTime()
	}
	order := []string{"INIT", "RUNNING", "SUCCESS"}
	expected := slices.DeleteFunc(order, func(state string) bool {
		return state != "SUCCESS" && !slices.Contains(states, state)
	})
	same(states, expected)
	noneLeft()
}

func watchResume(s stack) {
	client := s.dial(address, secret, true)
	takenUp(client, "restart", "restarted")
	token := ""
	for response, err := range client.Watch(always, "p", example) {
		must(err)
		token = response.ResumeToken
	}
	for response, err := range client.watchOnce(always, example, token) {
		panic(fmt.Sprint(response, err))
	}
	noneLeft()
}

func watchResumeKilled(s stack) { takenUp(s.dial(address, secret, true), "kill", "killed") }

func watchSilent(s stack) { takenUp(s.dial(relay, secret, true), "silence", "silent") }

// takenUp is a watch that goes on after what the runner is asked to do.
func takenUp(client client, line, answer string) {
	first := ""
	var begun time.Time
	for response, err := range client.Watch(always, "p", "endless") {
		must(err)
		if first == "" {
			same(response.GetJob().GetStatusText(), "RUNNING")
			first = response.ResumeToken
			same(ask(line), answer)
			begun = time.Now()
			continue
		}
		same(response.GetHeartbeat() != nil, true)
		same(response.ResumeToken, first)
		if response.ObserveTime.AsTime().After(begun) {
			return
		}
	}
	panic("the watch ended OK")
}

func watchPushback(s stack) {
	begun := time.Now()
	for response, err := range s.dial(address, secret+"-watch-pushback", false).Watch(always, "p", "pushback") {
		must(err)
		same(response.GetJob().GetStatusText(), "RUNNING")
		break
	}
	waitedSince(begun)
}
