{{ config(materialized='table', pre_hook=[before_begin('select 2')], post_hook=after_commit('select 3'), docs={'node_color': 'gold', 'show': false}) }} select 1 as a
