"""Driving on a motorway, highway-env, beside Stable-Baselines3's DQN."""
